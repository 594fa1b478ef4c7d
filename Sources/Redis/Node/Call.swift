import NIOCore

/// One send that waits for its replies.
///
/// Unchecked: `ticket` and `isCancelled` are touched under the node's lock alone. The continuation is set before the call
/// goes into the reply queue and resumed by whoever took it out again, which happens once.
final class Call: @unchecked Sendable {
    /// What a send ends with.
    typealias Outcome = Result<Answer, RedisError>

    /// The replies to a send.
    enum Answer: Sendable {
        case one(RedisReply)
        case batch([RedisReply])
    }

    let limit: Duration
    let deadline: NIODeadline
    var ticket: ReplyQueue<Call>.Ticket?
    var isCancelled = false
    private var continuation: CheckedContinuation<Outcome, Never>?

    init(within limit: Duration) {
        self.limit = limit
        deadline = .now() + TimeAmount(clamping: limit)
    }

    func wait(with continuation: CheckedContinuation<Outcome, Never>) {
        self.continuation = continuation
    }

    func resume(_ outcome: Outcome) {
        continuation.take()?.resume(returning: outcome)
    }
}
