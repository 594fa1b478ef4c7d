import HeapModule
import Synchronization

/// Wakes any number of sleepers at their times, on a few timers.
///
/// Most are woken before their time, when the work has ended that they would have extended a hold for. A timer for each of
/// them costs a system call, and stays until its time.
final class Alarms: Sendable {
    private struct Entry: Comparable {
        let deadline: ContinuousClock.Instant
        let watch: Watch

        static func == (a: Entry, b: Entry) -> Bool { a.deadline == b.deadline }
        static func < (a: Entry, b: Entry) -> Bool { a.deadline < b.deadline }
    }

    private struct State {
        var timers: AsyncStream<ContinuousClock.Instant>.Continuation?
        var sleepers = 0
        /// One for each sleeper, and those of sleepers who were woken before their time.
        var entries = Heap<Entry>()
        /// The earliest time for which there is a timer.
        var armedFor: ContinuousClock.Instant?

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
    var load: (sleepers: Int, entries: Int) { state.withLock { ($0.sleepers, $0.entries.count) } }

    /// Sleeps until `deadline`, until the watch's limit, or until the watch is over; on a timer of its own while nobody has called ``run()``.
    ///
    /// A task that is cancelled may be woken early.
    @inline(never)
    func sleep(_ watch: Watch, until deadline: ContinuousClock.Instant) async {
        while !isOver(watch, deadline) {
            let moment = moment(watch, deadline)
            guard admit() else {
                await sleepAlone(watch, until: moment)
                if Task.isCancelled { return }
                continue
            }
            await withCheckedContinuation { continuation in
                guard watch.fallAsleep(continuation, until: moment) else { return continuation.resume() }
                if !add(watch, moment) { watch.wake() }
            }
            remove()
        }
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
        let entries = state.withLock { state in
            defer { state = State(sleepers: state.sleepers) }
            return state.entries.unordered
        }
        for entry in entries { entry.watch.wake() }
    }

    private func sleepAlone(_ watch: Watch, until deadline: ContinuousClock.Instant) async {
        await withDiscardingTaskGroup { group in
            await withCheckedContinuation { continuation in
                guard watch.fallAsleep(continuation, until: deadline) else { return continuation.resume() }
                group.addTask { [clock] in
                    try? await clock.sleep(until: deadline, tolerance: nil)  // Cancelled: it is woken early.
                    watch.wake()
                }
            }
            group.cancelAll()
        }
    }

    // Not inlined, these five: what they need for a moment would stay in the memory of each task that sleeps.

    @inline(never)
    private func isOver(_ watch: Watch, _ deadline: ContinuousClock.Instant) -> Bool {
        watch.isOver || clock.now >= moment(watch, deadline)
    }

    /// The limit of the guarded work may come before the time to extend its hold.
    @inline(never)
    private func moment(_ watch: Watch, _ deadline: ContinuousClock.Instant) -> ContinuousClock.Instant {
        watch.limit.map { min($0, deadline) } ?? deadline
    }

    /// - Returns: Whether there is somebody to wake a sleeper; then it is to be removed.
    @inline(never)
    private func admit() -> Bool {
        state.withLock { state in
            if state.timers != nil { state.sleepers += 1 }
            return state.timers != nil
        }
    }

    /// - Returns: Whether there is somebody to wake the sleeper, still.
    @inline(never)
    private func add(_ watch: Watch, _ deadline: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            guard state.timers != nil else { return false }
            state.entries.insert(Entry(deadline: deadline, watch: watch))
            state.arm()
            return true
        }
    }

    @inline(never)
    private func remove() {
        state.withLock { state in
            state.sleepers -= 1
            // What is left of those who were woken early is swept out before it outgrows those who sleep.
            if state.entries.count > 2 * state.sleepers + 1000 {
                state.entries = Heap(state.entries.unordered.filter(\.watch.isAsleep))
            }
        }
    }

    private func ring() {
        let now = clock.now
        let due = state.withLock { state in
            var due: [Watch] = []
            while let first = state.entries.min, first.deadline <= now || !first.watch.isAsleep {
                state.entries.removeMin()
                due.append(first.watch)
            }
            if let armedFor = state.armedFor, armedFor <= now { state.armedFor = nil }
            state.arm()
            return due
        }
        for watch in due { watch.wake() }
    }
}
