import Holdfast
import Synchronization

/// What a claim's run has done so far and nobody has settled yet.
final class RunLedger: Sendable {
    private let pending: Mutex<Settlement>
    private let stale = Mutex(false)
    private let parts: AsyncStream<Void>
    private let part: AsyncStream<Void>.Continuation

    init(_ claim: Claim) {
        pending = Mutex(Settlement(of: claim))
        (parts, part) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether a settle found that the line belongs to the claim no more.
    var isStale: Bool { stale.withLock { $0 } }

    func note(_ change: (inout Settlement) -> Void) { pending.withLock { change(&$0) } }

    /// Says that what was noted should not wait for the end of the run.
    func settleSoon() { part.yield() }

    /// Says that the run is over.
    func end() { part.finish() }

    /// Settles parts, one after the other, until the run is over: a long task does not hold back the outcome of those
    /// before it.
    func settleParts(with settler: Settler) async {
        // Ends with the run, or with the task's cancellation; what is left then is for the last settlement.
        for await _ in parts {
            let settlement = pending.withLock { $0.takePart() }
            guard !settlement.isEmpty else { continue }
            if await settler.settle(settlement) == .stale { stale.withLock { $0 = true } }
        }
    }

    /// The last settlement, which frees the line.
    func takeLast() -> Settlement {
        pending.withLock { settlement in
            settlement.freesLine = true
            return settlement
        }
    }
}
