import CTaskHook
import HeapModule
import Randomness

/// Runs everything that happens in one simulation, one thing after the other, on one thread.
///
/// That is the jobs of Swift's tasks, and events of a virtual time. What comes next follows from the seed alone.
///
/// The runtime is asked to hand over every job that comes up on the thread, those of unstructured tasks included; so the
/// code under test runs as it is. A job belongs to the process that was running when it came up.
///
/// Unchecked: no other thread reaches it.
final class Schedule: @unchecked Sendable {
    private struct Event: Comparable {
        let time: Int64
        let number: UInt64
        let owner: SimulatedProcess?
        let action: () -> Void

        static func == (one: Event, other: Event) -> Bool { one.number == other.number }
        static func < (one: Event, other: Event) -> Bool { (one.time, one.number) < (other.time, other.number) }
    }

    /// A thousand times what one takes.
    private static let stepLimit = 2_000_000

    /// The true time, in nanoseconds; the processes' and the nodes' clocks differ from it.
    private(set) var now: Int64 = 0
    var random: SeededRandom
    /// Set once all that is judged has happened: what is left is only brought to its end.
    private(set) var isOver = false
    /// Of all that has happened, in its order: two runs of one seed have the same.
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    /// How many jobs and events there were.
    private(set) var steps = 0

    private var events = Heap<Event>()
    private var lastNumber: UInt64 = 0
    private var processes: [SimulatedProcess] = []
    private var current: SimulatedProcess?
    private var isStalling = false
    /// Told of a process that is frozen in the middle of something.
    var onStall: (SimulatedProcess, Int64) -> Void = { _, _ in }
    private var isJudged: (() -> Bool)?
    private(set) lazy var executor = ScheduleExecutor(self)

    init(_ random: SeededRandom) { self.random = random }

    func add(_ process: SimulatedProcess) { processes.append(process) }

    /// Has something happen at a time; an event of a process that is frozen then, happens when that goes on.
    func at(_ time: Int64, of owner: SimulatedProcess? = nil, _ action: @escaping () -> Void) {
        lastNumber += 1
        events.insert(Event(time: max(time, now), number: lastNumber, owner: owner, action: action))
    }

    /// Runs until `isDone`, or nothing is left before `limit`; then lets `end` ask all tasks to end, and runs on until
    /// nothing is left.
    ///
    /// - Returns: Whether `isDone`.
    func run(until limit: Int64, isDone: @escaping () -> Bool, end: () -> Void) -> Bool {
        take_tasks(Unmanaged.passUnretained(self).toOpaque()) { owner, job in
            Unmanaged<Schedule>.fromOpaque(owner).takeUnretainedValue().add(unsafeBitCast(job, to: UnownedJob.self))
        }
        defer { take_tasks(nil) { _, _ in } }
        isJudged = { [self] in isDone() || now > limit }
        step { isOver }
        isOver = true
        let succeeded = isDone()
        for process in processes { goOn(process) }
        end()
        step { false }
        return succeeded
    }

    /// Lets go of all that has it.
    func close() {
        processes = []
        events = []
        isJudged = nil
        onStall = { _, _ in }
    }

    /// Runs code of a process.
    func run(in process: SimulatedProcess, _ body: () -> Void) {
        let before = current
        current = process
        body()
        current = before
    }

    /// Takes a job that has come up.
    func add(_ job: UnownedJob) {
        guard let current else { fatalError("a job came up outside of every process") }
        current.jobs.append(job)
    }

    /// Freezes a process, which lets everything else go on.
    func freeze(_ process: SimulatedProcess, for time: Int64) {
        guard !isOver, process.frozenUntil != .max else { return }
        let end = now + time
        process.frozenUntil = max(process.frozenUntil, end)
        at(process.frozenUntil) { [self] in
            if process.frozenUntil <= now { goOn(process) }
        }
    }

    /// Freezes the process that runs, in the middle of what it is doing; one at a time, the others between two jobs only.
    func stall(for time: Int64) {
        guard let process = current, !isStalling, !isOver else { return }
        onStall(process, time)
        freeze(process, for: time)
        isStalling = true
        step { process.frozenUntil <= now || isOver }
        isStalling = false
        current = process
    }

    private func goOn(_ process: SimulatedProcess) {
        process.frozenUntil = now
        process.awakeSince = now
        let deferred = process.deferred
        process.deferred = []
        for action in deferred { at(now, of: process, action) }
    }

    private func step(until isEnough: () -> Bool) {
        while true {
            if !isOver, isJudged?() == true { isOver = true }
            precondition(steps < Self.stepLimit, "a simulation has no end")
            if isEnough() { return }
            if let process = nextToRun() {
                runJob(of: process)
            } else if let event = events.popMin() {
                now = event.time
                note(UInt64(truncatingIfNeeded: event.time) &* 31)
                if let owner = event.owner, owner.frozenUntil > now {
                    owner.deferred.append(event.action)
                } else {
                    let before = current
                    current = event.owner
                    event.action()
                    current = before
                }
            } else {
                return
            }
        }
    }

    private func nextToRun() -> SimulatedProcess? {
        let ready = processes.filter { !$0.jobs.isEmpty && $0.frozenUntil <= now }
        return ready.count < 2 ? ready.first : ready.randomElement(using: &random)
    }

    private func runJob(of process: SimulatedProcess) {
        // Any of them, as on a pool of threads.
        let job = process.jobs.remove(at: Int.random(in: 0..<process.jobs.count, using: &random))
        note(UInt64(process.number))
        run(in: process) { job.runSynchronously(on: executor.asUnownedTaskExecutor()) }
    }

    private func note(_ what: UInt64) {
        steps += 1
        digest = (digest ^ what) &* 0x100_0000_01B3
    }
}

/// Where the tasks of a simulation run.
final class ScheduleExecutor: TaskExecutor {
    // Unowned: the schedule has it, and outlives it.
    private unowned let schedule: Schedule

    init(_ schedule: Schedule) { self.schedule = schedule }

    func enqueue(_ job: consuming ExecutorJob) { schedule.add(UnownedJob(job)) }
}
