import Holdfast
import Randomness
import Redlock
import Worker

/// Workers: what they claim is run and settled by the code of `Worker`, over a simulated database.
///
/// Heartbeats, claims and their polling are told here as `Worker` does them; `ClaimRunner` and all below it run as they
/// are.
///
/// Unchecked: one thread runs a simulation.
final class Workers: Program, @unchecked Sendable {
    private static let heartbeatInterval: Duration = .milliseconds(300)
    private static let giveUpInterval: Duration = .seconds(1)

    let seats: Int
    // Unowned: the world has it, and outlives it.
    private unowned let world: World
    private let store: SimulatedStore

    init(_ world: World, _ random: inout SeededRandom) {
        self.world = world
        seats = Int.random(in: 2...3, using: &random)
        let keys = ["a", "b", "c"].prefix(Int.random(in: 1...3, using: &random)).map { LockKey(stored: $0) }
        store = SimulatedStore(world, keys: keys, jobs: Int.random(in: 2...6, using: &random))
        let (store, values) = (store, world.values)
        values.onWrite = { store.noteWrite(under: $0) }
        world.schedule.at(0) { store.rescue() }
    }

    var left: String? { store.jobsLeft == 0 ? nil : "\(store.jobsLeft) jobs" }

    func run(_ seat: Int, on machine: Machine) async {
        let (store, process) = (store, machine.process)
        let worker = store.newWorker()
        let runner = ClaimRunner(
            configuration: WorkerConfiguration(),
            redlock: machine.redlock,
            handlers: [SimulatedTask.kind: SimulatedTask(world: world, store: store, machine: machine)],
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
        await runner.settlingParts(on: nil) { await claim(worker, runner, on: machine) }
    }

    private func claim(_ worker: WorkerID, _ runner: ClaimRunner, on machine: Machine) async {
        let (store, process) = (store, machine.process)
        let running = Running()
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while !Task.isCancelled {
                    // One that is lost is made up for by the next.
                    try? await ask(machine) { store.heartbeat(worker) }
                    try? await process.sleep(for: Self.heartbeatInterval)  // Cancelled: the loop ends.
                }
            }
            var nextGiveUp = process.now
            while !Task.isCancelled {
                do {
                    if process.now >= nextGiveUp {
                        let fences = running.fences
                        try await ask(machine) { store.giveUp(worker, except: fences) }
                        nextGiveUp = process.now.advanced(by: Self.giveUpInterval)
                    }
                    for claim in try await ask(machine, { store.claim(for: worker, limit: 2, runLimit: 3) }) {
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
