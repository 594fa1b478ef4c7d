import HeapModule
import Synchronization

/// Any number of sleepers on a few timers.
///
/// Most are woken before their time, when the work has ended that they would have extended a hold for. A timer for each of
/// them costs a system call, and stays until its time.
final class Alarms: Sendable {
    private struct Entry: Comparable {
        let deadline: ContinuousClock.Instant
        let number: UInt64

        static func < (a: Entry, b: Entry) -> Bool { a.deadline < b.deadline }
    }

    private enum Sleeper {
        /// Admitted, and not asleep yet.
        case tired
        /// Cancelled before it was asleep.
        case disturbed
        case asleep(CheckedContinuation<Void, Never>)
    }

    private struct State {
        var timers: AsyncStream<ContinuousClock.Instant>.Continuation?
        var sleepers: [UInt64: Sleeper] = [:]
        /// Those who were woken before their time among them.
        var entries = Heap<Entry>()
        /// The earliest time for which there is a timer.
        var armedFor: ContinuousClock.Instant?
        var lastNumber: UInt64 = 0

        mutating func arm() {
            guard let next = entries.min?.deadline, armedFor.map({ next < $0 }) ?? true else { return }
            armedFor = next
            timers?.yield(next)
        }
    }

    private let clock: any MonotonicClock
    private let state = Mutex(State())

    init(clock: any MonotonicClock) { self.clock = clock }

    /// How many sleep, and how many places they take.
    var load: (sleepers: Int, entries: Int) { state.withLock { ($0.sleepers.count, $0.entries.count) } }

    /// Sleeps; on a timer of its own while nobody has called ``run()``.
    ///
    /// - Throws: `CancellationError`.
    func sleep(until deadline: ContinuousClock.Instant) async throws {
        if let number = admit() {
            await withTaskCancellationHandler {
                await withCheckedContinuation { fallAsleep(number, until: deadline, $0) }
            } onCancel: {
                disturb(number)
            }
        }
        try Task.checkCancellation()
        // Woken early because the timers have ended, or never asleep.
        if clock.now < deadline { try await clock.sleep(until: deadline, tolerance: nil) }
    }

    /// Serves the sleepers until the task is cancelled, one call at a time.
    func run() async {
        let (deadlines, timers) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
        state.withLock { $0.timers = timers }
        await withDiscardingTaskGroup { group in
            for await deadline in deadlines {
                group.addTask { [self] in
                    try? await clock.sleep(until: deadline, tolerance: nil)  // Cancelled: all are woken below.
                    ring()
                }
            }
            group.cancelAll()
        }
        let sleepers = state.withLock { state in
            let sleepers = state.sleepers.values
            state = State(lastNumber: state.lastNumber)
            return sleepers
        }
        for case .asleep(let continuation) in sleepers { continuation.resume() }
    }

    private func admit() -> UInt64? {
        state.withLock { state in
            guard state.timers != nil else { return nil }
            state.lastNumber += 1
            state.sleepers[state.lastNumber] = .tired
            return state.lastNumber
        }
    }

    private func fallAsleep(
        _ number: UInt64,
        until deadline: ContinuousClock.Instant,
        _ continuation: CheckedContinuation<Void, Never>
    ) {
        let isAsleep = state.withLock { state in
            guard case .tired = state.sleepers[number] else {
                state.sleepers[number] = nil
                return false
            }
            state.sleepers[number] = .asleep(continuation)
            state.entries.insert(Entry(deadline: deadline, number: number))
            state.arm()
            return true
        }
        if !isAsleep { continuation.resume() }
    }

    private func disturb(_ number: UInt64) {
        let sleeper = state.withLock { state in
            let sleeper = state.sleepers.removeValue(forKey: number)
            if case .tired = sleeper { state.sleepers[number] = .disturbed }
            // What is left of those who were woken early is swept out before it outgrows those who sleep.
            if state.entries.count > 2 * state.sleepers.count + 1000 {
                state.entries = Heap(state.entries.unordered.filter { state.sleepers[$0.number] != nil })
            }
            return sleeper
        }
        if case .asleep(let continuation) = sleeper { continuation.resume() }
    }

    private func ring() {
        let now = clock.now
        let due = state.withLock { state in
            var due: [Sleeper] = []
            while let first = state.entries.min, first.deadline <= now || state.sleepers[first.number] == nil {
                state.entries.removeMin()
                if let sleeper = state.sleepers.removeValue(forKey: first.number) { due.append(sleeper) }
            }
            if let armedFor = state.armedFor, armedFor <= now { state.armedFor = nil }
            state.arm()
            return due
        }
        for case .asleep(let continuation) in due { continuation.resume() }
    }
}
