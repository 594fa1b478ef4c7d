import Redlock
import Synchronization

/// A clock that stands still until the test moves it.
final class ManualClock: MonotonicClock {
    typealias Duration = Swift.Duration
    typealias Instant = ContinuousClock.Instant

    private struct Sleeper {
        let id: Int
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = ContinuousClock.now
        var lastID = 0
        var sleepers: [Sleeper] = []

        mutating func remove(where isMeant: (Sleeper) -> Bool) -> [Sleeper] {
            let removed = sleepers.filter(isMeant)
            sleepers.removeAll(where: isMeant)
            return removed
        }
    }

    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let change: AsyncStream<Void>.Continuation

    init() {
        (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var now: Instant { state.withLock(\.now) }
    var minimumResolution: Duration { .zero }
    /// Until when somebody sleeps.
    var deadlines: [Instant] { state.withLock { $0.sleepers.map(\.deadline) } }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try Task.checkCancellation()
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isOver = state.withLock { state in
                    guard deadline > state.now else { return true }
                    state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    return false
                }
                if isOver { return continuation.resume() }
                change.yield()
                // The handler may have run before there was anyone to wake.
                if Task.isCancelled { cancel(id) }
            }
        } onCancel: {
            cancel(id)
        }
    }

    /// Moves the clock, and wakes those whose time has come.
    func advance(to instant: Instant) {
        let woken = state.withLock { state in
            state.now = max(state.now, instant)
            let now = state.now
            return state.remove { $0.deadline <= now }
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }

    /// Waits until what somebody sleeps for is as it should be, or the test is cancelled; for one caller at a time.
    func whenSleeping(_ isAwaited: ([Instant]) -> Bool) async {
        while !Task.isCancelled, !isAwaited(deadlines) {
            for await _ in changes { break }
        }
    }

    /// Moves the clock from deadline to deadline, those after `limit` left out, until the task is cancelled.
    func runFreely(upTo limit: Instant) async {
        while !Task.isCancelled {
            await whenSleeping { $0.contains { $0 <= limit } }
            if let next = deadlines.min(), next <= limit { advance(to: next) }
        }
    }

    private func cancel(_ id: Int) {
        let woken = state.withLock { $0.remove { $0.id == id } }
        for sleeper in woken { sleeper.continuation.resume(throwing: CancellationError()) }
    }
}
