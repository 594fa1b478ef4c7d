import FaultChecking
import Holdfast
import PlantedBugs
import Postgres
import Redlock

/// What the database does with the worker's statements, one at a time; and what must be true of it.
///
/// Unchecked: one thread runs a simulation.
final class SimulatedStore: @unchecked Sendable {
    struct Job {
        let id: Int64
        let key: LockKey
        let kind: String
        let duration: Duration
        let timeout: Duration?
        var attempt = 0
    }

    /// As `key_lines` has it: held, or ready with a turn, or it waits for a time of the database's clock.
    struct Line {
        var headPlace: Int64
        var turn: Int64?
        var dueAt: Int64?
        var worker: WorkerID?
        var fence = Fence(0)
    }

    /// As `workers` has it; when the beat came, in true time.
    struct WorkerRow {
        let beat: Int64
        let beatAt: Int64
        /// By the database's clock.
        let shownAt: Int64
    }

    private struct Attempt: Hashable {
        let job: Int64
        let fence: Int64
    }

    // Unowned: the world has it, and outlives it.
    unowned let world: World
    /// In order; a job's place is its number.
    private(set) var jobs: [Job] = []
    var lines: [LockKey: Line] = [:]
    var workers: [WorkerID: WorkerRow] = [:]
    private var lastWorker: Int64 = 0
    var lastBeat: Int64 = 0
    private var lastTurn: Int64 = 0
    /// The history: attempts whose acquisition is recorded, and those whose end is, with whether it was refused.
    private var acquired: [Int64: Int64] = [:]
    private var lastAcquired: [Int64: Int64] = [:]
    private var ended: [Attempt: Bool] = [:]
    /// The jobs of each line's last hold, in order, with the fence of each.
    private var holds: [LockKey: [Attempt]] = [:]
    let tasks: TaskRecord

    init(_ world: World, _ jobs: [Job]) {
        self.world = world
        self.jobs = jobs
        tasks = TaskRecord(world)
        for key in Set(jobs.map(\.key)).sorted() { lines[key] = Line(headPlace: 0, turn: nextTurn()) }
    }

    var jobsLeft: Int { jobs.count }

    // MARK: Statements

    func newWorker() -> WorkerID {
        lastWorker += 1
        return WorkerID(lastWorker)
    }

    /// Lines that are ready and of a kind are claimed in the order of their turns, from a floor on.
    func claim(
        for worker: WorkerID,
        looks: [ClaimFloors.Look],
        kinds: [String],
        limit: Int,
        runLimit: Int
    ) -> [(claim: Claim, turn: Int64, kind: String)] {
        guard workers[worker] != nil else { return [] }
        var taken: [(claim: Claim, turn: Int64, kind: String)] = []
        for look in looks where look.priority == 5 {
            let found = lines.compactMap { key, line -> (key: LockKey, turn: Int64)? in
                guard line.worker == nil, let turn = line.turn, turn >= look.floor, head(of: key)?.kind == look.kind
                else { return nil }
                return (key, turn)
            }
            let inOrder = found.sorted {
                PlantedBug.claimsOutOfOrder.isPlanted ? $0.turn > $1.turn : ($0.turn, $0.key) < ($1.turn, $1.key)
            }
            let chosen = inOrder.prefix(limit - taken.count)
            if let last = chosen.map(\.turn).max(),
                let passed = inOrder.dropFirst(chosen.count).first(where: { $0.turn < last })
            {
                world.judge.found(.turns, "turn \(passed.turn) of \(passed.key) was passed over, \(last) was claimed")
            }
            for (key, turn) in chosen { taken.append((take(key, for: worker, kinds, runLimit), turn, look.kind)) }
        }
        return taken
    }

    func giveUp(_ worker: WorkerID, except fences: Set<Fence>) {
        for (key, line) in lines.sorted(by: { $0.key < $1.key })
        where line.worker == worker && !fences.contains(line.fence) {
            world.reached("given up")
            free(key)
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
            holds[event.key] = []
            for (job, fence) in named where there.contains(job.rawValue) {
                acquired[fence.rawValue] = job.rawValue
                holds[event.key]?.append(Attempt(job: job.rawValue, fence: fence.rawValue))
            }
            lastAcquired[event.job.rawValue] = event.fence.rawValue
            tasks.mayBegin(named.map(\.1), acquiredAt: event.moment)
            world.reached(event.serves.isEmpty ? "acquired" : "acquired, shared")
            return HoldReceipt(
                at: PostgresTimestamp(microseconds: world.database.clock / 1000),
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
                world.reached("settled in doubt")
                return wasRefused ? .stale : .settled(hasMore: true)
            }
            guard isTaken else {
                for event in settlement.events { record(event.value) }
                let attempts = settlement.finished.map(\.job) + (settlement.retried.map { [$0.job] } ?? [])
                for job in attempts { ended[Attempt(job: job.id.rawValue, fence: job.fence.rawValue)] = true }
                world.reached("settled too late")
                return .stale
            }
            if !isOwn { world.judge.found(.lateSettlement, "claim \(claim.fence) was settled, and is no more") }
            for event in settlement.events { record(event.value) }
            for finished in settlement.finished { finish(finished) }
            if let retried = settlement.retried { retry(retried) }
            let hasMore = moveOn(settlement)
            guard let acquired = settlement.acquired else { return .settled(hasMore: hasMore) }
            return writeAhead([acquired])[0].map { .acquired($0) } ?? .refused
        }
    }

    /// Lines whose wait is over get ready.
    func promote() {
        for (key, line) in lines.sorted(by: { $0.key < $1.key }) {
            guard line.worker == nil, let due = line.dueAt, due <= world.database.clock else { continue }
            makeReady(key)
        }
    }

    // MARK: Lines

    func head(of key: LockKey) -> Job? {
        guard let line = lines[key] else { return nil }
        return jobs.first { $0.key == key && $0.id >= line.headPlace }
    }

    /// An attempt of a line that is put back counts when its hold is recorded and its end is not.
    func count(attemptOn key: LockKey) {
        guard let begun = holds[key]?.first(where: { ended[$0] == nil }), let index = index(of: begun.job) else {
            return
        }
        jobs[index].attempt += 1
    }

    /// Gives a line back as it is.
    func free(_ key: LockKey) {
        lines[key]?.worker = nil
        makeReady(key)
    }

    private func take(_ key: LockKey, for worker: WorkerID, _ kinds: [String], _ runLimit: Int) -> Claim {
        let fence = world.nextFence()
        lines[key]?.worker = worker
        lines[key]?.fence = fence
        holds[key] = nil
        let head = lines[key]?.headPlace ?? 0
        let run = jobs.filter { $0.key == key && $0.id >= head }.prefix(runLimit).prefix { kinds.contains($0.kind) }
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
                    kind: job.kind,
                    value: "\(job.id)",
                    duration: job.duration,
                    lockTTL: World.ttl,
                    attempt: job.attempt + 1,
                    timeout: job.timeout,
                    place: job.id
                )
            },
            waited: nil
        )
    }

    private func nextTurn() -> Int64 {
        if PlantedBug.turnDrawnTwice.isPlanted, lastTurn > 0 { return lastTurn }
        lastTurn += 1
        return lastTurn
    }

    private func makeReady(_ key: LockKey) {
        let turn = nextTurn()
        if lines.values.contains(where: { $0.worker == nil && $0.turn == turn }) {
            world.judge.found(.turns, "turn \(turn) of \(key) is another line's, too")
        }
        lines[key]?.turn = turn
        lines[key]?.dueAt = nil
    }

    private func index(of job: Int64) -> Int? { jobs.firstIndex { $0.id == job } }

    /// - Returns: Whether the line was freed with jobs left.
    private func moveOn(_ settlement: Settlement) -> Bool {
        let key = settlement.claim.key
        let next = jobs.first { $0.key == key && $0.id > settlement.pastPlace }
        if settlement.freesLine, next == nil {
            lines[key] = nil
            return false
        }
        guard settlement.freesLine, let next else { return false }
        lines[key]?.headPlace = next.id
        lines[key]?.worker = nil
        let delay = settlement.delay.microseconds * 1000
        if PlantedBug.lostWakeup.isPlanted {
            lines[key]?.turn = nil
            lines[key]?.dueAt = .max
        } else if delay > 0 {
            lines[key]?.turn = nil
            lines[key]?.dueAt = world.database.clock + delay
        } else {
            makeReady(key)
        }
        return true
    }

    // MARK: Ends

    private func record(_ event: LockEvent) {
        if event.kind == .waiting { world.reached("waiting") }
        let isRefusal = event.kind == .refused
        guard isRefusal || [.passed, .released, .lost, .overrun].contains(event.kind) else { return }
        let attempt = Attempt(job: event.job.rawValue, fence: event.fence.rawValue)
        if ended[attempt] == nil {
            world.reached(
                isRefusal ? "refused" : event.kind == .passed ? "passed" : event.outcome ?? event.kind.rawValue
            )
        }
        if event.kind == .overrun { tasks.checkOverrun(event.fence, at: event.moment) }
        ended[attempt] = isRefusal || ended[attempt] == true
    }

    /// Whether a settlement is recorded, and if so whether as refused.
    private func recorded(_ settlement: Settlement) -> Bool? {
        let ends = settlement.events.compactMap {
            ended[Attempt(job: $0.value.job.rawValue, fence: $0.value.fence.rawValue)]
        }
        return ends.isEmpty ? nil : ends.contains(true)
    }

    private func retry(_ retried: Settlement.Retried) {
        guard let index = index(of: retried.job.id.rawValue) else { return }
        if retried.attempts > jobs[index].attempt { tasks.checkCounted(retried.job, retried.error) }
        jobs[index].attempt = retried.attempts
    }

    private func finish(_ finished: Settlement.Finished) {
        let (id, fence) = (finished.job.id.rawValue, finished.job.fence.rawValue)
        guard let index = index(of: id) else { return }
        let key = jobs[index].key
        world.note("job \(id) is \(finished.state) under \(fence)")
        let judge = world.judge
        if finished.state != .succeeded { judge.found(.unproved, "job \(id) is \(finished.state)") }
        tasks.checkSuccess(of: id, under: finished.job.fence)
        if acquired[fence] != id { judge.found(.unrecorded, "job \(id) succeeded under \(fence), which has no hold") }
        if let last = lastAcquired[id], last > fence {
            judge.found(.unproved, "job \(id) succeeded under \(fence), its last hold is \(last)")
        }
        if jobs[..<index].contains(where: { $0.key == key }) {
            judge.found(.order, "on \(key), job \(id) ended before one that was submitted earlier")
        }
        jobs.remove(at: index)
    }
}
