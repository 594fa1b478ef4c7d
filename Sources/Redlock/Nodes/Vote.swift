/// One node's answer to one question about a lock.
public struct Vote: Sendable, Equatable {
    /// What a node said, or why it said nothing.
    public enum Verdict: String, Sendable {
        /// It has done what was asked.
        case granted
        /// Another token is, or was found, under the lock.
        case held
        /// There is no connection to it, or it was lost before the answer.
        case unreachable
        /// Its answer had not come when its deadline passed, or when the others had decided.
        case late
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
}
