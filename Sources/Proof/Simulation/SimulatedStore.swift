import FaultChecking
import Holdfast
import PlantedBugs
import Postgres
import Redlock

/// What the database does with the worker's statements, one at a time; and what must be true of it.
///
/// Unchecked: one thread runs a simulation.
final class SimulatedStore: @unchecked Sendable {
    private struct Job {
        let id: Int64
        let key: LockKey
        var attempt = 0
    }

    private struct Line {
        var headPlace: Int64
        var readyAt: Int64 = 0
        var worker: WorkerID?
        var fence = Fence(0)
    }

    private struct Attempt: Hashable {
        let job: Int64
        let fence: Int64
    }

    /// For how long a worker is alive after a heartbeat.
    static let leaseTerm = 1200 * Weather.millisecond
    private static let rescueInterval = 250 * Weather.millisecond

    // Unowned: the world has it, and outlives it.
    private unowned let world: World
    /// In order; a job's place is its number.
    private var jobs: [Job] = []
    private var lines: [LockKey: Line] = [:]
    private var leases: [WorkerID: Int64] = [:]
    private var lastWorker: Int64 = 0
    /// The history: attempts whose acquisition is recorded, and those whose end is, with whether it was refused.
    private var acquired: [Int64: Int64] = [:]
    private var lastAcquired: [Int64: Int64] = [:]
    private var ended: [Attempt: Bool] = [:]
    /// Fences of tasks that wrote, and of those that came to their end.
    private var wrote: Set<Int64> = []
    private var tasksEnded: Set<Int64> = []

    init(_ world: World, keys: [LockKey], jobs count: Int) {
        self.world = world
        for id in 1...Int64(count) { jobs.append(Job(id: id, key: keys[world.random(0, keys.count - 1)])) }
        for key in Set(jobs.map(\.key)) { lines[key] = Line(headPlace: 0) }
    }

    var jobsLeft: Int { jobs.count }

    // MARK: Statements

    func newWorker() -> WorkerID {
        lastWorker += 1
        return WorkerID(lastWorker)
    }

    func heartbeat(_ worker: WorkerID) { leases[worker] = world.schedule.now + Self.leaseTerm }

    func claim(for worker: WorkerID, limit: Int, runLimit: Int) -> [Claim] {
        let now = world.schedule.now
        guard leases[worker].map({ $0 > now }) ?? false else { return [] }
        let ready = lines.filter { $0.value.worker == nil && $0.value.readyAt <= now }.keys.sorted().prefix(limit)
        return ready.map { key in
            let fence = world.nextFence()
            lines[key]?.worker = worker
            lines[key]?.fence = fence
            let head = lines[key]?.headPlace ?? 0
            let run = jobs.filter { $0.key == key && $0.id >= head }.prefix(runLimit)
            return Claim(
                key: key,
                worker: worker,
                fence: fence,
                headPlace: head,
                queue: "default",
                jobs: run.map { job in
                    ClaimedJob(
                        id: JobID(job.id),
                        fence: world.nextFence(),
                        kind: SimulatedTask.kind,
                        value: "\(job.id)",
                        lockTTL: World.ttl,
                        attempt: job.attempt + 1,
                        place: job.id
                    )
                },
                waited: nil
            )
        }
    }

    func giveUp(_ worker: WorkerID, except fences: Set<Fence>) {
        for (key, line) in lines where line.worker == worker && !fences.contains(line.fence) {
            free(key, at: world.schedule.now)
        }
    }

    func writeAhead(_ events: [Box<LockEvent>]) -> [HoldReceipt?] {
        events.map(\.value).map { event in
            let line = lines[event.key]
            guard line?.worker == event.worker, line?.fence == event.claimFence,
                jobs.contains(where: { $0.id == event.job.rawValue })
            else { return nil }
            let named = event.serves.isEmpty ? [(event.job, event.fence)] : event.serves.map { ($0.id, $0.fence) }
            let there = Set(jobs.map(\.id))
            for (job, fence) in named where there.contains(job.rawValue) {
                acquired[fence.rawValue] = job.rawValue
                lastAcquired[job.rawValue] = fence.rawValue
            }
            return HoldReceipt(
                at: PostgresTimestamp(microseconds: world.schedule.now / 1000),
                gone: Set(named.map(\.0).filter { !there.contains($0.rawValue) })
            )
        }
    }

    func settle(_ settlements: [Settlement], inDoubt: Bool) -> [SettlementResult] {
        settlements.map { settlement in
            let claim = settlement.claim
            let line = lines[claim.key]
            let isOwn = line?.worker == claim.worker && line?.fence == claim.fence
            let isTaken = isOwn || PlantedBug.settleWithoutFence.isPlanted && line != nil
            if inDoubt, !isTaken || !settlement.freesLine, let wasRefused = recorded(settlement) {
                return wasRefused ? .stale : .settled(hasMore: true)
            }
            guard isTaken else {
                for event in settlement.events { record(event.value) }
                let attempts = settlement.finished.map(\.job) + (settlement.retried.map { [$0.job] } ?? [])
                for job in attempts { ended[Attempt(job: job.id.rawValue, fence: job.fence.rawValue)] = true }
                return .stale
            }
            if !isOwn { world.judge.found(.lateSettlement, "claim \(claim.fence) was settled, and is no more") }
            for event in settlement.events { record(event.value) }
            for finished in settlement.finished { finish(finished) }
            if let retried = settlement.retried, let index = index(of: retried.job.id.rawValue) {
                jobs[index].attempt = retried.attempts
            }
            let hasMore = moveOn(settlement)
            guard let acquired = settlement.acquired else { return .settled(hasMore: hasMore) }
            return writeAhead([acquired])[0].map { .acquired($0) } ?? .refused
        }
    }

    /// Puts lines of dead workers back, again and again.
    func rescue() {
        let now = world.schedule.now
        for (key, line) in lines.sorted(by: { $0.key < $1.key }) {
            guard let worker = line.worker, leases[worker].map({ $0 <= now }) ?? true else { continue }
            world.note("the line of \(key) is put back; worker \(worker) held it under \(line.fence)")
            free(key, at: now)
        }
        guard !world.schedule.isOver else { return }
        world.schedule.at(now + Self.rescueInterval) { [unowned self] in rescue() }
    }

    // MARK: What tasks do

    func noteWrite(under fence: Fence) {
        if acquired[fence.rawValue] == nil { world.judge.found(.unrecorded, "\(fence) wrote, and has no hold") }
        wrote.insert(fence.rawValue)
    }

    func noteEnd(under fence: Fence) { tasksEnded.insert(fence.rawValue) }

    private func index(of job: Int64) -> Int? { jobs.firstIndex { $0.id == job } }

    private func free(_ key: LockKey, at time: Int64) {
        lines[key]?.worker = nil
        lines[key]?.readyAt = time
    }

    private func record(_ event: LockEvent) {
        let isRefusal = event.kind == .refused
        guard isRefusal || [.passed, .released, .lost, .overrun].contains(event.kind) else { return }
        let attempt = Attempt(job: event.job.rawValue, fence: event.fence.rawValue)
        ended[attempt] = isRefusal || ended[attempt] == true
    }

    /// Whether a settlement is recorded, and if so whether as refused.
    private func recorded(_ settlement: Settlement) -> Bool? {
        let ends = settlement.events.compactMap {
            ended[Attempt(job: $0.value.job.rawValue, fence: $0.value.fence.rawValue)]
        }
        return ends.isEmpty ? nil : ends.contains(true)
    }

    private func finish(_ finished: Settlement.Finished) {
        let (id, fence) = (finished.job.id.rawValue, finished.job.fence.rawValue)
        guard let index = index(of: id) else { return }
        let key = jobs[index].key
        world.note("job \(id) is \(finished.state) under \(fence)")
        let judge = world.judge
        if finished.state != .succeeded { judge.found(.unproved, "job \(id) is \(finished.state)") }
        if !wrote.contains(fence) { judge.found(.unproved, "job \(id) wrote nothing under \(fence)") }
        if !tasksEnded.contains(fence) { judge.found(.unproved, "the task of job \(id) did not end under \(fence)") }
        if acquired[fence] != id { judge.found(.unrecorded, "job \(id) succeeded under \(fence), which has no hold") }
        if let last = lastAcquired[id], last != fence {
            judge.found(.unproved, "job \(id) succeeded under \(fence), its last hold is \(last)")
        }
        if jobs[..<index].contains(where: { $0.key == key }) {
            judge.found(.order, "on \(key), job \(id) ended before one that was submitted earlier")
        }
        jobs.remove(at: index)
    }

    /// - Returns: Whether the line was freed with jobs left.
    private func moveOn(_ settlement: Settlement) -> Bool {
        let key = settlement.claim.key
        let next = jobs.first { $0.key == key && $0.id > settlement.pastPlace }
        if settlement.freesLine, next == nil {
            lines[key] = nil
            return false
        }
        lines[key]?.headPlace = next?.id ?? settlement.pastPlace + 1
        guard settlement.freesLine else { return false }
        let delay = settlement.delay.microseconds * 1000
        free(key, at: PlantedBug.lostWakeup.isPlanted ? .max : world.schedule.now + delay)
        return true
    }
}
