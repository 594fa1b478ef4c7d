/// One of the independent nodes that vote on locks.
package protocol LockNode: Sendable {
    /// Host and port.
    var name: String { get }
    /// Whether it is connected, and may vote.
    var mayVote: Bool { get }

    /// Keeps the node connected until its task is cancelled.
    func run() async

    /// Asks the node.
    ///
    /// - Parameters:
    ///   - question: What is asked.
    ///   - deadline: How long the answer is waited for, from now; more than zero.
    ///   - answer: Called once, on any thread; a node that fails gives a verdict, too.
    /// - Returns: What may shorten the wait; `nil` when the answer was given at once.
    func ask(
        _ question: LockQuestion,
        within deadline: Duration,
        _ answer: @escaping @Sendable (LockAnswer) -> Void
    ) -> (any PendingVote)?
}

/// A node's vote that somebody waits for.
package protocol PendingVote: Sendable {
    /// Waits no longer than `limit` from now: the verdict is `late` then.
    ///
    /// With zero it is late at once.
    func giveUp(within limit: Duration)
}

/// What a node is asked about the locks of one hold.
package struct LockQuestion: Sendable {
    package enum Kind: Sendable {
        /// Store the token under every name for the TTL, unless there is something under one of them.
        case acquire
        /// Set the time to live to the TTL, if the token is still under every name.
        case extend
        /// Remove each name under which the token still is.
        case release
    }

    package let kind: Kind
    /// The locks' names on the node, in order; at least one.
    package let names: [String]
    package let token: String
    package let ttl: Duration

    package init(kind: Kind, names: [String], token: String, ttl: Duration) {
        self.kind = kind
        self.names = names
        self.token = token
        self.ttl = ttl
    }
}

/// What a node said, or why it said nothing.
package struct LockAnswer: Sendable {
    package var verdict: Vote.Verdict
    /// For an extension that was granted: the time to live that was left before it, the least of all names.
    package var left: Duration?

    package init(_ verdict: Vote.Verdict, left: Duration? = nil) {
        self.verdict = verdict
        self.left = left
    }
}
