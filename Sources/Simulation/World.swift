import FaultChecking
import Logging
import PlantedBugs
import Randomness
import Redlock

/// The nodes, the servers, the clients and their faults of one simulation.
///
/// Unchecked: one thread runs a simulation.
final class World: @unchecked Sendable {
    /// Clocks of nodes and processes run so much faster or slower at most: together less than the drift that is allowed.
    private static let drift = 0.0045
    private static let ttl: Duration = .seconds(1)
    /// When the last fault begins, at most.
    private static let faultsUntil = 6000 * Weather.millisecond
    /// When all jobs are to have ended, faults or no.
    private static let limit = 120_000 * Weather.millisecond
    private static let keys = [LockKey(stored: "a"), LockKey(stored: "b")]

    let schedule: Schedule
    let network: Network
    let judge: Judge
    /// Where fences are drawn.
    let database = SimulatedServer()
    /// Where values are written, each with its fence.
    let valueNode = SimulatedServer()
    private let weather: Weather
    private let nodes: [SimulatedNode]
    private let configuration: RedlockConfiguration
    private let trace: ((String) -> Void)?
    private let note: (@autoclosure () -> String) -> Void
    private var clients: [Client] = []
    private var processes = 0
    private var lastFence: Int64 = 0
    private var fences: [LockKey: Fence] = [:]
    private(set) var holds = 0

    /// Who has a number of jobs to do, in one process after the other.
    private final class Client {
        let number: Int
        var jobsLeft: Int
        var incarnation: Incarnation?

        init(_ number: Int, jobs: Int) {
            self.number = number
            jobsLeft = jobs
        }
    }

    private struct Incarnation {
        let process: SimulatedProcess
        let connections: [SimulatedConnection]
        let ways: (toDatabase: Way, toValueNode: Way)
        let task: Task<Void, Never>
    }

    private var incarnations: [Incarnation] = []

    init(_ random: SeededRandom, _ trace: ((String) -> Void)?) {
        var random = random
        let weather = Weather(&random)
        self.weather = weather
        let schedule = Schedule(random.split())
        self.schedule = schedule
        self.trace = trace
        note = { text in trace?("\(Double(schedule.now) / 1e9) \(text())") }
        network = Network(schedule, weather)
        var configuration = RedlockConfiguration()
        configuration.ttl = Self.ttl
        configuration.longestTTL = Self.ttl
        configuration.nodeDeadline = .milliseconds(Int.random(in: 20...100, using: &random))
        configuration.retryDelay = .milliseconds(Int.random(in: 50...200, using: &random))
        configuration.chance = { Double.random(in: 0...1, using: &schedule.random) }
        let grace = configuration.nodeDeadline.microseconds * 1000 + Weather.millisecond
        let judge = Judge(schedule, trustsLocks: !weather.nodeClocksStep, grace: grace, note)
        self.judge = judge
        nodes = (1...(Int.random(in: 0..<4, using: &random) == 0 ? 5 : 3)).map { number in
            SimulatedNode(
                number,
                schedule,
                judge,
                rate: Self.rate(&random),
                persists: Int.random(in: 0..<3, using: &random) == 0
            )
        }
        self.configuration = configuration
        clients = (0..<Int.random(in: 2...4, using: &random)).map { Client($0, jobs: 2) }
    }

    func run() -> Simulation.Outcome {
        schedule.onStall = { [note] process, time in note("process \(process.number) stalls for \(time)") }
        for client in clients { schedule.at(0) { [self] in start(client) } }
        plan()
        let isDone = { [self] in clients.allSatisfy { $0.jobsLeft == 0 } || !judge.violations.isEmpty }
        let hasEnded = schedule.run(until: Self.limit, isDone: isDone) { [self] in
            for incarnation in incarnations { schedule.run(in: incarnation.process) { incarnation.task.cancel() } }
        }
        var violations = judge.violations
        if !hasEnded {
            let left = clients.map(\.jobsLeft).reduce(0, +)
            violations.append(Violation(.lost, "\(left) jobs are unfinished after \(Self.limit / 1_000_000_000) s"))
        }
        return Simulation.Outcome(
            violations: violations,
            digest: schedule.digest,
            steps: schedule.steps,
            holds: holds
        )
    }

    // MARK: Clients

    private func start(_ client: Client) {
        guard client.jobsLeft > 0, !schedule.isOver else { return }
        let process = SimulatedProcess(
            processes,
            schedule,
            rate: Self.rate(&schedule.random),
            stalls: weather.stalls
        )
        processes += 1
        note("client \(client.number) starts as process \(process.number)")
        let logger = logger(of: process)
        let connections = nodes.map { SimulatedConnection(process, to: $0, network, configuration, logger) }
        let ways = (toDatabase: Way(), toValueNode: Way())
        let redlock = Redlock(
            nodes: connections,
            configuration: configuration,
            fences: Sequence(world: self, process: process, way: ways.toDatabase),
            clock: process,
            logger: logger
        )
        schedule.run(in: process) {
            let number = client.number
            let task = Task(executorPreference: schedule.executor) { [self] in
                await work(number, process, redlock, ways.toValueNode)
            }
            let incarnation = Incarnation(process: process, connections: connections, ways: ways, task: task)
            client.incarnation = incarnation
            incarnations.append(incarnation)
        }
        for connection in connections { schedule.at(schedule.now, of: process) { connection.keepConnected() } }
    }

    private func logger(of process: SimulatedProcess) -> Logger {
        Logger(label: "simulation") { [self] _ in
            guard trace != nil else { return SwiftLogNoOpLogHandler() }
            return NotingLogHandler { [note] text in note("process \(process.number): \(text)") }
        }
    }

    /// Does a client's jobs, each until it has succeeded once.
    private func work(_ client: Int, _ process: SimulatedProcess, _ redlock: Redlock, _ way: Way) async {
        while clients[client].jobsLeft > 0, !Task.isCancelled {
            let keys = random(0, 3) == 0 ? Self.keys : [Self.keys[random(0, 1)]]
            let isStubborn = random(0, 2) == 0
            do {
                let hold = try await redlock.acquire(keys)
                holds += 1
                let number = judge.began(hold, in: process)
                let result = await Self.result {
                    try await redlock.keep(hold, limit: nil) { [self] extended in
                        judge.extended(number, until: extended.validUntil)
                    } _: { [self] in
                        let task = { @Sendable [self] in
                            try await self.task(hold, number, process, way, isStubborn: isStubborn)
                        }
                        // A task of its own is not cancelled with this one.
                        if isStubborn { try await Task { try await task() }.value } else { try await task() }
                    }
                }
                judge.ends(number)
                await redlock.release(hold)
                try result.get()
                clients[client].jobsLeft -= 1
            } catch {
                note("process \(process.number): \(error)")
                try? await process.sleep(for: .milliseconds(random(1, 300)))  // Cancelled: the loop ends.
            }
        }
    }

    /// Works, writes under the hold's fence, works on.
    private func task(
        _ hold: Hold,
        _ number: Int,
        _ process: SimulatedProcess,
        _ way: Way,
        isStubborn: Bool
    ) async throws {
        let steps = random(1, 5)
        let pause = Duration.milliseconds(random(0, 400))
        for step in 0...steps {
            try await process.sleep(for: pause)
            if !isStubborn { judge.works(number) }
            guard step == steps / 2 else { continue }
            for key in hold.keys { try await write(key, hold.fence ?? Fence(0), process, way) }
        }
    }

    private func write(_ key: LockKey, _ fence: Fence, _ process: SimulatedProcess, _ way: Way) async throws {
        let deadline = 300 * Weather.millisecond
        let isWritten = try await network.ask(valueNode, from: process, over: way, within: deadline) { [self] in
            let isStale = fences[key].map { fence < $0 } ?? false
            guard !isStale || PlantedBug.writeWithoutFence.isPlanted else { return false }
            fences[key] = fence
            judge.wrote(key, fence)
            return true
        }
        if !isWritten { throw LockError(.refused, keys: [key]) }
    }

    private struct Sequence: FenceSource {
        let world: World
        let process: SimulatedProcess
        let way: Way

        func next() async throws -> Fence {
            let deadline = 500 * Weather.millisecond
            return try await world.network.ask(world.database, from: process, over: way, within: deadline) {
                world.lastFence += 1
                return Fence(world.lastFence)
            }
        }
    }

    private static func result(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }

    // MARK: Faults

    private func plan() {
        plan(weather.freezes) { [self] in
            guard let process = someone?.process else { return }
            let time = time(10, 2500)
            note("process \(process.number) is frozen for \(time)")
            schedule.freeze(process, for: time)
        }
        plan(weather.crashes) { [self] in
            guard let incarnation = someone, !incarnation.process.isGone else { return }
            note("process \(incarnation.process.number) is killed")
            incarnation.process.vanish()
            guard let client = clients.first(where: { $0.incarnation?.process === incarnation.process }) else { return }
            schedule.at(schedule.now + time(10, 1500)) { [self] in start(client) }
        }
        plan(weather.nodeFreezes) { [self] in
            let node = someNode
            node.server.frozenUntil = schedule.now + time(10, 2500)
            note("node \(node.number) is frozen until \(node.server.frozenUntil)")
        }
        plan(weather.nodeRestarts) { [self] in
            let node = someNode
            note("node \(node.number) is restarted")
            node.crash()
            schedule.at(schedule.now + time(1, 500)) { node.start() }
        }
        plan(weather.cuts) { [self] in
            guard let incarnation = someone else { return }
            let ways =
                incarnation.connections.map(\.way) + [incarnation.ways.toDatabase, incarnation.ways.toValueNode]
            let end = schedule.now + time(10, 2500)
            note("process \(incarnation.process.number) is cut off until \(end)")
            for way in ways where random(0, 1) == 0 { way.cutUntil = end }
        }
        plan(weather.wallClockSteps) { [self] in
            someone?.process.stepWallClock(by: time(-3000, 3000))
        }
        // Backwards, a node keeps locks for longer: that does no harm, and always happens.
        plan(1) { [self] in someNode.stepClock(by: time(-2000, 0)) }
        if weather.nodeClocksStep { plan(2) { [self] in someNode.stepClock(by: time(0, 2000)) } }
    }

    private func plan(_ count: Int, _ fault: @escaping () -> Void) {
        for _ in 0..<count {
            schedule.at(Int64.random(in: 0...Self.faultsUntil, using: &schedule.random)) { [schedule] in
                if !schedule.isOver { fault() }
            }
        }
    }

    /// How fast a clock runs; half of them as fast or as slow as they may.
    private static func rate(_ random: inout SeededRandom) -> Double {
        let rates = 1 - drift...1 + drift
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return rates.lowerBound
        case 1: return rates.upperBound
        default: return Double.random(in: rates, using: &random)
        }
    }

    private var someone: Incarnation? { clients.randomElement(using: &schedule.random)?.incarnation }

    private var someNode: SimulatedNode { nodes[random(0, nodes.count - 1)] }

    private func random(_ least: Int, _ most: Int) -> Int { Int.random(in: least...most, using: &schedule.random) }

    /// By chance, in milliseconds.
    private func time(_ least: Int64, _ most: Int64) -> Int64 {
        Int64.random(in: least * Weather.millisecond...most * Weather.millisecond, using: &schedule.random)
    }
}
