/// One of the independent nodes that vote on locks.
package protocol LockNode: Sendable {
    /// Host and port.
    var name: String { get }
    /// Whether it is connected, may vote, and does what it is asked for.
    var mayVote: Bool { get }
    /// Why it has no vote now, in words; `nil` when it has one.
    var obstacle: String? { get }
    /// What it should be told otherwise, in words.
    var warnings: [String] { get }
    /// By what it is known, under whatever name; `nil` when it does not say.
    var identity: String? { get }

    /// Keeps the node connected until its task is cancelled.
    func run() async

    /// Asks the node.
    ///
    /// - Parameters:
    ///   - questions: What is asked.
    ///   - deadline: How long the answers are waited for, from now; more than zero.
    ///   - answer: Called once, on any thread, with one answer for each question, in the questions' order; a node that
    ///     fails gives verdicts, too.
    /// - Returns: What may shorten the wait; `nil` when the answers were given at once.
    func ask(
        _ questions: LockQuestions,
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) -> (any PendingVote)?
}

extension LockNode {
    package var obstacle: String? { mayVote ? nil : "it may not vote" }
    package var warnings: [String] { [] }
    package var identity: String? { nil }
}

/// A node's votes that somebody waits for.
package protocol PendingVote: Sendable {
    /// Waits no longer than `limit` from now: the verdicts are `late` then.
    ///
    /// With zero it is late at once.
    func giveUp(within limit: Duration)
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
