import Holdfast
import Synchronization

/// What a claim's run has done so far and nobody has settled yet.
///
/// Parts are settled while the run goes on, one after the other: a long task does not hold back the outcome of those before
/// it.
final class RunLedger: Sendable {
    /// The hold of the run's next job, which is recorded with the part before it.
    struct Acquired {
        let event: Box<LockEvent>
        let waiting: CheckedContinuation<SettlementResult?, Never>
    }

    private struct State {
        var pending: Settlement
        var acquired: Acquired?
        var isSettling = false
        /// What is noted now belongs together: no part is taken in between.
        var isNoting = false
        /// What is pending belongs to the last settlement.
        var isOver = false
        var isStale = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>
    private let parts: AsyncStream<RunLedger>.Continuation

    /// - Parameters:
    ///   - claim: What runs.
    ///   - parts: Gets the ledger whenever a part is to be settled: see ``settlePart(with:)``.
    init(_ claim: Claim, parts: AsyncStream<RunLedger>.Continuation) {
        state = Mutex(State(pending: Settlement(of: claim)))
        self.parts = parts
    }

    /// Whether a settle found that the line belongs to the claim no more.
    var isStale: Bool { state.withLock(\.isStale) }

    func note(_ change: (inout Settlement) -> Void) { state.withLock { change(&$0.pending) } }

    /// Notes several things that are to be settled in one call, such as a job's end and that of its hold: their times are
    /// counted from one reading of the database's clock then, and agree.
    func noteTogether<Value>(_ notes: () -> Value) -> Value {
        state.withLock { $0.isNoting = true }
        defer { state.withLock { $0.isNoting = false } }
        return notes()
    }

    /// Says that what was noted should not wait for the end of the run.
    func settleSoon() { parts.yield(self) }

    /// Records a hold with what is not settled yet, in one transaction: the end of a hold is recorded before the next hold
    /// of the key is.
    ///
    /// - Returns: The hold, as recorded; `nil` when nothing is to be settled, and it was not recorded either.
    /// - Throws: ``StaleClaim``, ``HistoryOutage``, or `CancellationError`.
    func record(acquired event: Box<LockEvent>) async throws -> HoldReceipt? {
        guard state.withLock({ !$0.pending.isEmpty || $0.isSettling }) else { return nil }
        let result = await withCheckedContinuation { waiting in
            state.withLock { $0.acquired = Acquired(event: event, waiting: waiting) }
            guard case .terminated = parts.yield(self) else { return }
            // Nobody settles parts any more.
            state.withLock { $0.acquired.take() }?.waiting.resume(returning: nil)
        }
        switch result {
        case .acquired(let hold): return hold
        case .stale, .refused: throw StaleClaim(fence: event.value.claimFence)
        case .settled, .busy: throw HistoryOutage(reason: "it was away when the job before this was settled")
        case nil: throw CancellationError()
        }
    }

    /// Settles what is pending, part by part, until nothing is.
    func settlePart(with settler: Settler) async {
        while let (part, acquired) = takePart() {
            // Whoever waits for a hold to be recorded is told of the first failure: that one will not be.
            var waiting = acquired?.waiting
            let result = await settler.settle(part) { waiting.take()?.resume(returning: .busy) }
            waiting?.resume(returning: result)
            state.withLock { state in
                state.isSettling = false
                if result == .stale { state.isStale = true }
                return state.waiting.take()
            }?.resume()
        }
    }

    /// Waits until no part is being settled, and takes the last settlement, which frees the line.
    func takeLast() async -> Box<Settlement> {
        await withCheckedContinuation { waiting in
            let isSettling = state.withLock { state in
                state.isOver = true
                if state.isSettling { state.waiting = waiting }
                return state.isSettling
            }
            if !isSettling { waiting.resume() }
        }
        return state.withLock { state in
            state.pending.freesLine = true
            return Box(state.pending)
        }
    }

    // Not inlined, or its temporaries would be a part of each task that settles one.
    @inline(never)
    func takePart() -> (Box<Settlement>, Acquired?)? {
        state.withLock { state in
            guard !state.isSettling, !state.isNoting, !state.isOver else { return nil }
            var part = state.pending.takePart()
            let acquired = state.acquired.take()
            part.acquired = acquired?.event
            guard !part.isEmpty else { return nil }
            state.isSettling = true
            return (Box(part), acquired)
        }
    }
}
