import CoreMetrics
import Holdfast

/// What is counted about a worker's claims and attempts.
struct WorkerMetrics: Sendable {
    private let claims = Counter(label: "holdfast_claims_total")
    private let claimedJobs = Counter(label: "holdfast_claimed_jobs_total")
    private let lineWait = Timer(label: "holdfast_line_wait_seconds", preferredDisplayUnit: .seconds)
    private let lockWait = Timer(label: "holdfast_lock_wait_seconds", preferredDisplayUnit: .seconds)
    private let hold = Timer(label: "holdfast_hold_seconds", preferredDisplayUnit: .seconds)
    /// By ``Outcome/name``.
    private let attempts: [String: Counter]
    private let refusedValue = Counter(label: "holdfast_refused_writes_total", dimensions: [("at", "value")])
    private let refusedStart = Counter(label: "holdfast_refused_writes_total", dimensions: [("at", "history")])
    let rescuedLines = Counter(label: "holdfast_rescued_lines_total")
    let slotsUsed = Meter(label: "holdfast_slots_used")

    init() {
        attempts = Dictionary(
            uniqueKeysWithValues: Outcome.names.map { name in
                (name, Counter(label: "holdfast_attempts_total", dimensions: [("outcome", name)]))
            }
        )
    }

    func claimed(_ claims: [Claim]) {
        guard !claims.isEmpty else { return }
        self.claims.increment(by: claims.count)
        claimedJobs.increment(by: claims.reduce(0) { $0 + $1.jobs.count })
        for claim in claims { lineWait.record(claim.wasReady) }
        slotsUsed.increment(by: Double(claims.count))
    }

    func acquired(after wait: Duration) { lockWait.record(wait) }

    func ended(_ outcome: Outcome, held time: Duration) {
        attempts[outcome.name]?.increment()
        hold.record(time)
        switch outcome {
        case .refused: refusedValue.increment()
        case .stale: refusedStart.increment()
        default: break
        }
    }
}
