import FaultChecking
import Holdfast
import Redlock

/// What tasks of a simulation have done, by their own word; and what must be true of it.
///
/// Unchecked: one thread runs a simulation.
final class TaskRecord: @unchecked Sendable {
    private struct Begun {
        let process: SimulatedProcess
        let at: ContinuousClock.Instant
        let limit: Duration
        var isOutage = false
    }

    /// A hold serves one brief job after the other for so long, and two that began a little late.
    private static let slice: Duration = .milliseconds(150)
    private static let latecomers = 2

    // Unowned: the world has it, and outlives it.
    private unowned let world: World
    /// The holds that are recorded, by the fence of each job that they may serve: when they were acquired, when their first
    /// job began, and how many began after the slice.
    private var holds: [Fence: Slice] = [:]
    private var begun: [Fence: Begun] = [:]
    private var wrote: Set<Fence> = []
    private var ended: Set<Fence> = []

    private final class Slice {
        let acquiredAt: ContinuousClock.Instant
        var begunAt: ContinuousClock.Instant?
        var late = 0

        init(_ acquiredAt: ContinuousClock.Instant) { self.acquiredAt = acquiredAt }
    }

    init(_ world: World) { self.world = world }

    /// A hold is recorded, and which attempts it may serve.
    func mayBegin(_ fences: [Fence], acquiredAt: ContinuousClock.Instant) {
        let slice = Slice(acquiredAt)
        for fence in fences { holds[fence] = slice }
    }

    /// A task begins.
    func begins(_ job: ClaimedJob, in process: SimulatedProcess) {
        let now = process.reading
        let limit = job.timeout ?? job.duration + Workers.grace
        begun[job.fence] = Begun(process: process, at: now, limit: limit)
        guard let slice = holds[job.fence] else {
            return world.judge.found(.unrecorded, "job \(job.id) began under \(job.fence), which has no hold")
        }
        // Of a process that was frozen meanwhile, the slice may begin when it goes on.
        let start = slice.begunAt ?? now
        slice.begunAt = start
        guard start.duration(to: now) > Self.slice, process.awakeSince < process.trueTime(of: start) else { return }
        slice.late += 1
        if slice.late > Self.latecomers {
            let time = start.duration(to: now)
            world.judge.found(
                .slice,
                "job \(job.id) began \(time) after the first under its hold, as others had before it"
            )
        }
    }

    func wrote(under fence: Fence) {
        if holds[fence] == nil { world.judge.found(.unrecorded, "\(fence) wrote, and has no hold") }
        wrote.insert(fence)
    }

    /// What a task needs is away.
    func isOut(under fence: Fence) { begun[fence]?.isOutage = true }

    func ends(under fence: Fence) { ended.insert(fence) }

    func checkSuccess(of job: Int64, under fence: Fence) {
        if !wrote.contains(fence) { world.judge.found(.unproved, "job \(job) wrote nothing under \(fence)") }
        if !ended.contains(fence) {
            world.judge.found(.unproved, "the task of job \(job) did not end under \(fence)")
        }
    }

    /// An attempt counts only when its task had begun, and failed for no want of what it needs.
    func checkCounted(_ job: ClaimedJob, _ reason: String) {
        guard let begun = begun[job.fence] else {
            return world.judge.found(.attempts, "an attempt of job \(job.id) counts that was not begun: \(reason)")
        }
        if begun.isOutage, reason.contains("Silence") {
            world.judge.found(.attempts, "an attempt of job \(job.id) counts that met an outage: \(reason)")
        }
    }

    /// A task is cancelled for its limit only when it has had all of it.
    ///
    /// One that was frozen between the setting of its limit and its first line is not judged.
    func checkOverrun(_ fence: Fence, at end: ContinuousClock.Instant) {
        guard let begun = begun[fence], let slice = holds[fence],
            begun.process.awakeSince < begun.process.trueTime(of: slice.acquiredAt)
        else { return }
        let had = begun.at.duration(to: end)
        guard had < begun.limit - .milliseconds(1) else { return }
        world.judge.found(.attempts, "the task under \(fence) was cancelled after \(had) of \(begun.limit)")
    }
}
