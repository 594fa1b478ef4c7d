import CoreMetrics

/// What is counted about settlements.
struct SettleMetrics: Sendable {
    /// Tries that ended in an error; the settlement is tried again.
    let failed = Self.settlements("failed")
    private let settled = Self.settlements("settled")
    private let stale = Self.settlements("stale")
    private let busy = Self.settlements("busy")
    private let refused = Counter(label: "holdfast_refused_writes_total", dimensions: [("at", "settle")])
    private let succeeded = Self.finished("succeeded")
    private let lost = Self.finished("failed")
    private let cancelled = Self.finished("cancelled")

    private static func settlements(_ result: String) -> Counter {
        Counter(label: "holdfast_settlements_total", dimensions: [("result", result)])
    }

    private static func finished(_ state: String) -> Counter {
        Counter(label: "holdfast_jobs_finished_total", dimensions: [("state", state)])
    }

    // Not inlined, or its temporaries would be a part of each task that waits for a settle.
    @inline(never)
    func count(_ result: SettlementResult, of settlement: Settlement) {
        switch result {
        case .busy: busy.increment()
        case .stale:
            stale.increment()
            refused.increment()
        case .settled, .acquired, .refused:
            settled.increment()
            for job in settlement.finished {
                switch job.state {
                case .succeeded: succeeded.increment()
                case .failed: lost.increment()
                case .cancelled: cancelled.increment()
                }
            }
        }
    }
}
