import CoreMetrics

/// How often one node gave each verdict.
struct VoteMetrics: Sendable {
    /// In the order of the verdicts' cases.
    private let counters: [Counter]

    init(node: String) {
        counters = Vote.Verdict.allCases.map { verdict in
            Counter(label: "holdfast_lock_votes_total", dimensions: [("node", node), ("verdict", verdict.rawValue)])
        }
    }

    func count(_ answers: [LockAnswer]) {
        for (verdict, counter) in zip(Vote.Verdict.allCases, counters) {
            let count = answers.count { $0.verdict == verdict }
            if count > 0 { counter.increment(by: count) }
        }
    }
}
