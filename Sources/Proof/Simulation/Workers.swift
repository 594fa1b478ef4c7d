import Holdfast
import Randomness
import Redlock
import Worker

/// Workers: what they claim is run and settled by the code of `Worker`, over a simulated database.
///
/// Heartbeats, claims, upkeep and their polling are told here as `Worker` does them; `ClaimRunner` and all below it, the
/// watch over other workers' beats and the floors of claims run as they are.
///
/// Unchecked: one thread runs a simulation.
final class Workers: Program, @unchecked Sendable {
    static let heartbeatLimit = 2000 * Weather.millisecond
    private static let giveUpInterval: Duration = .seconds(1)
    private static let promotionInterval: Duration = .milliseconds(200)
    /// How much longer than declared a task may take.
    static let grace: Duration = .seconds(1)

    let seats: Int
    let needsDatabase = true
    // Unowned: the world has it, and outlives it.
    private unowned let world: World
    private let store: SimulatedStore
    /// The kinds that each seat's worker has handlers for.
    private let kinds: [[String]]

    init(_ world: World, _ random: inout SeededRandom) {
        self.world = world
        seats = Int.random(in: 2...3, using: &random)
        let keys = ["a", "b", "c"].prefix(Int.random(in: 1...3, using: &random)).map { LockKey(stored: $0) }
        // What is brief shares holds: all jobs, half of them, or none.
        let brief = Int.random(in: 0...2, using: &random)
        let hasKinds = Int.random(in: 0...2, using: &random) == 0
        let count = Int.random(in: 2...(brief == 0 ? 6 : 14), using: &random)
        var jobs: [SimulatedStore.Job] = []
        for id in 1...Int64(count) {
            let isBrief = Int.random(in: 1...2, using: &random) <= brief
            // Most tasks that are not brief end within it, or a job would never be done.
            let least = isBrief ? 300 : 900
            let limit = Int.random(in: 0...3, using: &random) == 0 ? Int.random(in: least...1500, using: &random) : nil
            let isOther = hasKinds && Int.random(in: 0...2, using: &random) == 0
            jobs.append(
                SimulatedStore.Job(
                    id: id,
                    key: keys[Int.random(in: 0..<keys.count, using: &random)],
                    kind: isOther ? SimulatedTask.otherKind : SimulatedTask.kind,
                    duration: isBrief ? .milliseconds(Int.random(in: 0...50, using: &random)) : .seconds(1),
                    timeout: limit.map { .milliseconds($0) }
                )
            )
        }
        // The first knows them all.
        kinds = (0..<seats).map { seat in
            let known = [SimulatedTask.kind, SimulatedTask.otherKind]
            return seat == 0 ? known : Bool.random(using: &random) ? known : [known[0]]
        }
        store = SimulatedStore(world, jobs)
        let tasks = store.tasks
        world.values.onWrite = { tasks.wrote(under: $0) }
    }

    var left: String? { store.jobsLeft == 0 ? nil : "\(store.jobsLeft) jobs" }

    func run(_ seat: Int, on machine: Machine) async {
        let (store, process) = (store, machine.process)
        let worker = store.newWorker()
        var configuration = WorkerConfiguration()
        configuration.grace = Self.grace
        let task = SimulatedTask(world: world, store: store, machine: machine)
        let runner = ClaimRunner(
            configuration: configuration,
            redlock: machine.redlock,
            handlers: Dictionary(uniqueKeysWithValues: kinds[seat].map { ($0, task) }),
            history: LockHistory { [self] events in try await ask(machine) { store.writeAhead(events) } },
            settler: Settler(
                clock: process,
                chance: world.configuration.chance,
                logger: machine.logger
            ) { [self] settlements, manner in
                try await ask(machine) { store.settle(settlements, inDoubt: manner == .inDoubt) }
            },
            work: RunningWork(),
            clock: process,
            logger: machine.logger
        )
        await runner.settlingParts(on: nil) {
            await withDiscardingTaskGroup { group in
                group.addTask { [self] in await beat(worker, on: machine) }
                group.addTask { [self] in await promote(on: machine) }
                await claim(worker, kinds[seat], runner, on: machine)
                group.cancelAll()
            }
        }
    }

    /// Moves the worker's beat on, and gives up those whose beat stands still.
    private func beat(_ worker: WorkerID, on machine: Machine) async {
        let (store, process) = (store, machine.process)
        var watch = BeatWatch()
        while !Task.isCancelled {
            do {
                let start = process.now
                let pulse = try await world.askDatabase(
                    from: process,
                    over: machine.toDatabase,
                    within: Self.heartbeatLimit
                ) { store.heartbeat(worker) }
                let dead = watch.saw(pulse.beats, from: start, to: process.now)
                if !dead.isEmpty { try await ask(machine) { store.bury(dead) } }
                if pulse.hasOrphans || !dead.isEmpty { try await ask(machine) { store.rescue() } }
            } catch {
                // The next one makes up for it.
            }
            // Cancelled: the loop ends.
            try? await process.sleep(for: WorkerRegistry.heartbeatInterval * Double(world.random(90, 110)) / 100)
        }
    }

    private func promote(on machine: Machine) async {
        let store = store
        while !Task.isCancelled {
            // One that is lost is made up for by the next.
            try? await ask(machine) { store.promote() }
            try? await machine.process.sleep(for: Self.promotionInterval)  // Cancelled: the loop ends.
        }
    }

    private func claim(_ worker: WorkerID, _ kinds: [String], _ runner: ClaimRunner, on machine: Machine) async {
        let (store, process) = (store, machine.process)
        let running = Running()
        await withDiscardingTaskGroup { group in
            var floors = ClaimFloors()
            var nextGiveUp = process.now
            while !Task.isCancelled {
                do {
                    if process.now >= nextGiveUp {
                        let fences = running.fences
                        try await ask(machine) { store.giveUp(worker, except: fences) }
                        nextGiveUp = process.now.advanced(by: Self.giveUpInterval)
                    }
                    let looks = floors.next(["default"], kinds: kinds, at: process.now)
                    let claims = try await ask(machine) {
                        store.claim(for: worker, looks: looks, kinds: kinds, limit: 2, runLimit: 8)
                    }
                    floors.claimed(
                        claims.map { (.init(queue: "default", kind: $0.kind, priority: 5), $0.turn) },
                        at: process.now
                    )
                    for (claim, _, _) in claims {
                        running.fences.insert(claim.fence)
                        group.addTask {
                            _ = await runner.run(claim) {}
                            running.fences.remove(claim.fence)
                        }
                    }
                } catch {
                    // Whether the claim was committed is not known.
                    nextGiveUp = process.now
                }
                try? await process.sleep(for: .milliseconds(world.random(20, 150)))  // Cancelled: the loop ends.
            }
            group.cancelAll()
        }
    }

    /// The claims that a worker has.
    ///
    /// Unchecked: one thread runs a simulation.
    private final class Running: @unchecked Sendable {
        var fences: Set<Fence> = []
    }

    private func ask<Reply: Sendable>(_ machine: Machine, _ serve: @escaping () -> Reply) async throws -> Reply {
        try await world.askDatabase(from: machine.process, over: machine.toDatabase, serve)
    }
}
