/// One node's answer to one question about a lock.
public struct Vote: Sendable, Equatable {
    /// What a node said, or why it said nothing.
    public enum Verdict: String, Sendable, CaseIterable {
        /// It has done what was asked.
        case granted
        /// Another token is, or was found, under the lock; for an extension or a release, the token was there no more.
        case held
        /// There is no connection to it, or it was lost before the answer.
        case unreachable
        /// Its answer had not come when its deadline passed, or when the others had decided.
        case late
        /// It was restarted and may have forgotten locks, so it was not asked.
        case quarantined
        /// Its times to live disagree with the time that has passed here: its clock has stepped.
        ///
        /// It has no vote on this hold any more.
        case stepped
        /// It answered with an error, as a read-only replica or a full node does, or had and was not asked.
        case refused
    }

    /// The node, by host and port.
    public let node: String
    /// What it said.
    public let verdict: Verdict
    /// From the question to the answer, on a monotonic clock.
    public let latency: Duration

    package init(node: String, verdict: Verdict, latency: Duration) {
        self.node = node
        self.verdict = verdict
        self.latency = latency
    }
}

extension [Vote] {
    /// The verdicts in the nodes' order, for a log: `granted,granted,late`.
    package var summary: String { map(\.verdict.rawValue).joined(separator: ",") }

    func count(_ verdict: Vote.Verdict) -> Int { count { $0.verdict == verdict } }
}
