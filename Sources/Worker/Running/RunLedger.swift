import Holdfast
import Synchronization

/// What a claim's run has done so far and nobody has settled yet.
final class RunLedger: Sendable {
    private struct State {
        var pending: Settlement
        var isSettling = false
        /// Nothing is settled in parts any more.
        var isOver = false
        var waiting: [CheckedContinuation<Void, Never>] = []

        var isSettled: Bool { isOver || pending.isEmpty && !isSettling }
    }

    private let state: Mutex<State>
    private let stale = Mutex(false)
    private let parts: AsyncStream<Void>
    private let part: AsyncStream<Void>.Continuation

    init(_ claim: Claim) {
        state = Mutex(State(pending: Settlement(of: claim)))
        (parts, part) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether a settle found that the line belongs to the claim no more.
    var isStale: Bool { stale.withLock { $0 } }

    func note(_ change: (inout Settlement) -> Void) { state.withLock { change(&$0.pending) } }

    /// Says that what was noted should not wait for the end of the run.
    func settleSoon() { part.yield() }

    /// Says that the run is over.
    func end() { part.finish() }

    /// Waits until all that was noted is settled: the end of a hold is recorded before the next hold of the key is.
    func settled() async {
        guard !state.withLock(\.isSettled) else { return }
        settleSoon()
        await withCheckedContinuation { continuation in
            let isSettled = state.withLock { state in
                if !state.isSettled { state.waiting.append(continuation) }
                return state.isSettled
            }
            if isSettled { continuation.resume() }
        }
    }

    /// Settles parts, one after the other, until the run is over: a long task does not hold back the outcome of those
    /// before it.
    func settleParts(with settler: Settler) async {
        // Ends with the run, or with the task's cancellation; what is left then is for the last settlement.
        for await _ in parts {
            let settlement = state.withLock { state in
                state.isSettling = !state.pending.isEmpty
                return state.pending.takePart()
            }
            guard !settlement.isEmpty else { continue }
            if await settler.settle(settlement) == .stale { stale.withLock { $0 = true } }
            resumeWaiting { $0.isSettling = false }
        }
        resumeWaiting { $0.isOver = true }
    }

    private func resumeWaiting(_ change: (inout State) -> Void) {
        let settled = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            change(&state)
            guard state.isSettled else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in settled { continuation.resume() }
    }

    /// The last settlement, which frees the line.
    func takeLast() -> Settlement {
        state.withLock { state in
            state.pending.freesLine = true
            return state.pending
        }
    }
}
