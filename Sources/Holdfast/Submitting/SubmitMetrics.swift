import CoreMetrics

/// What is counted about submissions.
struct SubmitMetrics: Sendable {
    let accepted = Counter(label: "holdfast_jobs_accepted_total")
    private let queueFull = Self.refused("queue_full")
    private let lineFull = Self.refused("line_full")
    private let keyUsed = Self.refused("idempotency_key_used")
    private let tooMuchWaits = Self.refused("too_much_waits")
    /// The database did not take it, or did not say that it has.
    private let unavailable = Self.refused("unavailable")

    private static func refused(_ reason: String) -> Counter {
        Counter(label: "holdfast_jobs_refused_total", dimensions: [("reason", reason)])
    }

    /// Counts a submission, or a batch, that was not taken.
    func refused(_ error: any Error) {
        switch error {
        case SubmissionRefusal.queueFull: queueFull.increment()
        case SubmissionRefusal.lineFull: lineFull.increment()
        case SubmissionRefusal.idempotencyKeyUsed: keyUsed.increment()
        case is GroupCommitFull: tooMuchWaits.increment()
        default: unavailable.increment()
        }
    }
}
