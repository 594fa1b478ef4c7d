/// Why a hold was not had, or not kept.
public struct LockError: Error, Sendable, CustomStringConvertible {
    /// What went wrong; the part that callers switch over.
    public enum Code: String, Sendable, CaseIterable {
        /// Another holds it.
        case held
        /// Fewer than a quorum of nodes voted for it, or too late to be relied on.
        case noQuorum = "no quorum"
        /// It could not be extended, and its task was cancelled.
        case lost
        /// The task went past its limit, and was cancelled.
        case overrun
        /// A higher fence has written: this holder's time is over, and its write changed nothing.
        case refused
        /// What was asked for is out of bounds; nothing was done.
        case invalid
    }

    /// What went wrong.
    public let code: Code
    /// The keys that were to be held.
    public let keys: [LockKey]
    /// Each node's last answer, in the nodes' order.
    public let votes: [Vote]
    /// For a lost hold, the validity that was left when its task was cancelled.
    public let margin: Duration?
    /// More on it, in words.
    public let detail: String?

    package init(_ code: Code, keys: [LockKey], votes: [Vote] = [], margin: Duration? = nil, detail: String? = nil) {
        self.code = code
        self.keys = keys
        self.votes = votes
        self.margin = margin
        self.detail = detail
    }

    /// One line for a log, with no value of the client's but the keys.
    public var description: String {
        let votes = votes.map { "\($0.node) \($0.verdict.rawValue)" }.joined(separator: ", ")
        let about = [detail, votes.isEmpty ? nil : votes].compactMap(\.self).joined(separator: "; ")
        return "\(code.rawValue) on \(keys.map(\.text).joined(separator: ", "))" + (about.isEmpty ? "" : ": \(about)")
    }
}
