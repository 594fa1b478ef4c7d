/// Why a hold was not had, or not kept.
public struct LockError: Error, Sendable, CustomStringConvertible {
    /// What went wrong; the part that callers switch over.
    public enum Code: String, Sendable {
        /// Another holds it.
        case held
        /// Fewer than a quorum of nodes voted for it, or too late to be relied on.
        case noQuorum = "no quorum"
        /// It could not be extended, and its task was cancelled.
        case lost
        /// The task went past its limit, and was cancelled.
        case overrun
    }

    /// What went wrong.
    public let code: Code
    /// The key that was to be held.
    public let key: LockKey
    /// Each node's last answer, in the nodes' order.
    public let votes: [Vote]
    /// For a lost hold, the validity that was left when its task was cancelled.
    public let margin: Duration?

    package init(_ code: Code, key: LockKey, votes: [Vote], margin: Duration? = nil) {
        self.code = code
        self.key = key
        self.votes = votes
        self.margin = margin
    }

    /// One line for a log, with no value of the client's but the key.
    public var description: String {
        "\(code.rawValue) on \(key): \(votes.map { "\($0.node) \($0.verdict.rawValue)" }.joined(separator: ", "))"
    }
}
