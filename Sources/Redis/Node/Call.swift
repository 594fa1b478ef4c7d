import NIOCore

/// One send that waits for its replies.
///
/// Unchecked: `deadline`, `ticket` and `isCancelled` are touched under the node's lock alone. The completion is set before
/// the call goes into the reply queue and taken by whoever took it out again, which happens once.
final class Call: @unchecked Sendable {
    /// What a send ends with.
    typealias Outcome = Result<Answer, RedisError>

    /// The replies to a send.
    enum Answer: Sendable {
        case one(RedisReply)
        case batch([RedisReply])
    }

    let limit: Duration
    var deadline: NIODeadline
    var ticket: ReplyQueue<Call>.Ticket?
    var isCancelled = false
    private var completion: (@Sendable (Outcome) -> Void)?

    init(within limit: Duration) {
        self.limit = limit
        deadline = .now() + TimeAmount(clamping: limit)
    }

    func wait(with completion: @escaping @Sendable (Outcome) -> Void) {
        self.completion = completion
    }

    func resume(_ outcome: Outcome) {
        completion.take()?(outcome)
    }
}
