import CoreMetrics

/// What is counted about locks, over all keys.
struct LockMetrics: Sendable {
    /// Tries by outcome: granted, held (contention), no_quorum.
    private let granted: Counter
    let held: Counter
    let noQuorum: Counter
    let extended: Counter
    let notExtended: Counter
    /// Holds whose work was cancelled.
    let lost: Counter
    let overrun: Counter
    /// Holds for which a node lost its vote because its clock had stepped.
    let steps: Counter
    /// From the question to the hold.
    private let acquireTime: Timer

    init() {
        func acquires(_ outcome: String) -> Counter {
            Counter(label: "holdfast_lock_acquires_total", dimensions: [("outcome", outcome)])
        }
        func extensions(_ outcome: String) -> Counter {
            Counter(label: "holdfast_lock_extensions_total", dimensions: [("outcome", outcome)])
        }
        func cancelled(_ reason: String) -> Counter {
            Counter(label: "holdfast_holds_cancelled_total", dimensions: [("reason", reason)])
        }
        granted = acquires("granted")
        held = acquires("held")
        noQuorum = acquires("no_quorum")
        extended = extensions("extended")
        notExtended = extensions("denied")
        lost = cancelled("lost")
        overrun = cancelled("overrun")
        steps = Counter(label: "holdfast_lock_node_clock_steps_total")
        acquireTime = Timer(label: "holdfast_lock_acquire_seconds", preferredDisplayUnit: .seconds)
    }

    func granted(after time: Duration) {
        granted.increment()
        acquireTime.recordNanoseconds(time.microseconds * 1000)
    }
}
