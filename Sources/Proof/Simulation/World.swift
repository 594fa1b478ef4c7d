import FaultChecking
import Logging
import Randomness
import Redlock

/// What the processes of a simulation do.
protocol Program: AnyObject, Sendable {
    /// How many processes there are to be.
    var seats: Int { get }
    /// What is left to be done; `nil` when nothing is.
    var left: String? { get }
    /// Whether the database has more to do than to draw fences: its faults are a part of the simulation then.
    var needsDatabase: Bool { get }

    /// Works at a seat, in a process that may be killed and followed by another.
    func run(_ seat: Int, on machine: Machine) async
}

/// What a process has of its own.
struct Machine: Sendable {
    let process: SimulatedProcess
    let redlock: Redlock
    let connections: [SimulatedConnection]
    let toDatabase: Way
    let toValueNode = Way()
    let logger: Logger
}

/// Fences from the database.
private struct FenceSequence: FenceSource {
    let world: World
    let process: SimulatedProcess
    let toDatabase: Way

    func next() async throws -> Fence {
        try await world.askDatabase(from: process, over: toDatabase) { world.nextFence() }
    }
}

/// The nodes, the servers, the processes and their faults of one simulation.
///
/// Unchecked: one thread runs a simulation.
final class World: @unchecked Sendable {
    /// Clocks of nodes and processes run so much faster or slower at most: together less than the drift that is allowed.
    private static let drift = 0.0045
    static let ttl: Duration = .seconds(1)
    /// When the last fault begins, at most.
    private static let faultsUntil = 6000 * Weather.millisecond
    /// When all is to have been done, faults or no: backoffs may be minutes long.
    private static let limit = 1_200_000 * Weather.millisecond

    let schedule: Schedule
    let network: Network
    let judge: Judge
    let configuration: RedlockConfiguration
    let note: (@autoclosure () -> String) -> Void
    let database: SimulatedDatabase
    private let valueNode = SimulatedServer()
    let values: ValueRegister
    private let weather: Weather
    private let nodes: [SimulatedNode]
    private let trace: ((String) -> Void)?
    private var program: (any Program)?
    /// Who sits where.
    private var machines: [Int: Machine] = [:]
    private var tasks: [(process: SimulatedProcess, task: Task<Void, Never>)] = []
    private var tasksEnded = 0
    private var lastFence: Int64 = 0
    var holds = 0
    /// Faults, and until when they are felt.
    private var felt: [(fault: Coverage.Fault, until: Int64)] = []
    private var coverage = Coverage()

    init(_ random: SeededRandom, _ trace: ((String) -> Void)?) {
        var random = random
        let weather = Weather(&random)
        self.weather = weather
        let schedule = Schedule(random.split())
        self.schedule = schedule
        self.trace = trace
        database = SimulatedDatabase(schedule)
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
        values = ValueRegister(judge)
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
        if !weather.isCalm { felt.append((.messagesLost, .max)) }
        program = Bool.random(using: &random) ? LockClients(self, &random) : Workers(self, &random)
    }

    func run() -> Simulation.Outcome {
        schedule.onStall = { [note] process, time in note("process \(process.number) stalls for \(time)") }
        guard let program else { preconditionFailure("a world has a program") }
        for seat in 0..<program.seats { schedule.at(0) { [self] in start(seat) } }
        plan()
        let isDone = { [judge] in program.left == nil || !judge.violations.isEmpty }
        let hasEnded = schedule.run(until: Self.limit, isDone: isDone) { [self] in
            for (process, task) in tasks { schedule.run(in: process) { task.cancel() } }
        }
        var violations = judge.violations
        if !hasEnded {
            violations.append(
                Violation(.lost, "after \(Self.limit / 1_000_000_000) s, \(program.left ?? "nothing") is left")
            )
        }
        precondition(tasksEnded == tasks.count, "a task of a simulation has not ended")
        // What has each other is let go of.
        self.program = nil
        machines = [:]
        schedule.close()
        for node in nodes { node.close() }
        return Simulation.Outcome(
            violations: violations,
            digest: schedule.digest,
            steps: schedule.steps,
            holds: holds,
            coverage: coverage
        )
    }

    // MARK: What processes use

    /// Asks the database; a statement is sent once.
    func askDatabase<Reply: Sendable>(
        from process: SimulatedProcess,
        over way: Way,
        within deadline: Int64 = 500 * Weather.millisecond,
        _ serve: @escaping () -> Reply
    ) async throws -> Reply {
        try await network.ask(database.server, from: process, over: way, within: deadline, mayDouble: false, serve)
    }

    /// Takes in that something came to an end that may come in different ways under faults.
    func reached(_ outcome: String) {
        guard !schedule.isOver else { return }
        felt.removeAll { $0.until < schedule.now }
        coverage.note(outcome, during: Set(felt.map(\.fault)))
    }

    /// Draws a number from the database's sequence.
    func nextFence() -> Fence {
        lastFence += 1
        return Fence(lastFence)
    }

    /// Writes a value under a fence.
    ///
    /// - Returns: `nil` when it took effect, else the higher fence that has written.
    func write(_ key: LockKey, _ fence: Fence, _ machine: Machine) async throws -> Fence? {
        let deadline = 300 * Weather.millisecond
        return try await network.ask(valueNode, from: machine.process, over: machine.toValueNode, within: deadline) {
            [values] in values.write(key, fence)
        }.highest
    }

    func random(_ least: Int, _ most: Int) -> Int { Int.random(in: least...most, using: &schedule.random) }

    // MARK: Processes

    private func start(_ seat: Int) {
        guard let program, program.left != nil, !schedule.isOver else { return }
        let process = SimulatedProcess(
            tasks.count,
            schedule,
            rate: Self.rate(&schedule.random),
            stalls: weather.stalls
        )
        note("process \(process.number) starts at seat \(seat)")
        let logger = logger(of: process)
        let toDatabase = Way()
        let connections = nodes.map { SimulatedConnection(process, to: $0, network, configuration, logger) }
        let redlock = Redlock(
            nodes: connections,
            configuration: configuration,
            fences: FenceSequence(world: self, process: process, toDatabase: toDatabase),
            clock: process,
            logger: logger
        )
        let machine = Machine(
            process: process,
            redlock: redlock,
            connections: connections,
            toDatabase: toDatabase,
            logger: logger
        )
        schedule.run(in: process) {
            let task = Task(executorPreference: schedule.executor) { [self] in
                await program.run(seat, on: machine)
                tasksEnded += 1
            }
            tasks.append((process, task))
        }
        machines[seat] = machine
        for connection in connections { schedule.at(schedule.now, of: process) { connection.keepConnected() } }
    }

    private func logger(of process: SimulatedProcess) -> Logger {
        Logger(label: "simulation") { [self] _ in
            guard trace != nil else { return SwiftLogNoOpLogHandler() }
            return NotingLogHandler { [note] text in note("process \(process.number): \(text)") }
        }
    }

    // MARK: Faults

    private func plan() {
        plan(weather.freezes) { [self] in
            guard let process = someone?.machine.process else { return }
            let time = time(10, 2500)
            note("process \(process.number) is frozen for \(time)")
            feel(.processFrozen, for: time)
            schedule.freeze(process, for: time)
        }
        plan(weather.crashes) { [self] in
            guard let (seat, machine) = someone, !machine.process.isGone else { return }
            note("process \(machine.process.number) is killed")
            machine.process.vanish()
            let time = time(10, 1500)
            // Until it is taken for dead.
            feel(.processKilled, for: 6000 * Weather.millisecond)
            schedule.at(schedule.now + time) { [self] in start(seat) }
        }
        plan(weather.nodeFreezes) { [self] in
            let node = someNode
            node.server.frozenUntil = schedule.now + time(10, 2500)
            note("node \(node.number) is frozen until \(node.server.frozenUntil)")
            feel(.nodeFrozen, for: node.server.frozenUntil - schedule.now)
        }
        plan(weather.nodeRestarts) { [self] in
            let node = someNode
            note("node \(node.number) is restarted")
            node.crash()
            let time = time(1, 500)
            feel(.nodeRestarted, for: time)
            schedule.at(schedule.now + time) { node.start() }
        }
        plan(weather.cuts) { [self] in
            guard let machine = someone?.machine else { return }
            let ways = machine.connections.map(\.way) + [machine.toDatabase, machine.toValueNode]
            let end = schedule.now + time(10, 2500)
            note("process \(machine.process.number) is cut off until \(end)")
            feel(.linkCut, for: end - schedule.now)
            for way in ways where random(0, 1) == 0 { way.cutUntil = end }
        }
        plan(weather.wallClockSteps) { [self] in
            someone?.machine.process.stepWallClock(by: time(-3000, 3000))
            feel(.wallClock, for: 0)
        }
        // Backwards, a node keeps locks for longer: that does no harm, and always happens.
        plan(1) { [self] in someNode.stepClock(by: time(-2000, 0)) }
        if weather.nodeClocksStep {
            plan(2) { [self] in
                someNode.stepClock(by: time(0, 2000))
                feel(.nodeClock, for: 0)
            }
        }
        if program?.needsDatabase == true { planForDatabase() }
    }

    /// What takes longer than a lock lasts: the database is away, or a worker.
    private func planForDatabase() {
        plan(weather.databaseFreezes) { [self] in
            let time = time(10, weather.longestOutage / Weather.millisecond)
            note("the database is frozen for \(time)")
            feel(.databaseFrozen, for: time)
            database.freeze(for: time)
        }
        plan(weather.databaseOutages) { [self] in
            let time = time(10, weather.longestOutage / Weather.millisecond)
            note("the database is away for \(time)")
            feel(.databaseAway, for: time)
            database.takeAway(for: time)
        }
        plan(weather.databaseSteps) { [self] in
            let time = random(0, 2) == 0 ? time(-300_000, 3_600_000) : time(-10_000, 10_000)
            note("the database's clock steps by \(time)")
            feel(.databaseClock, for: 0)
            database.stepClock(by: time)
        }
        plan(weather.longFreezes) { [self] in
            guard let process = someone?.machine.process else { return }
            let time = time(4000, 9000)
            note("process \(process.number) is frozen for \(time)")
            feel(.processFrozen, for: time)
            schedule.freeze(process, for: time)
        }
    }

    private func feel(_ fault: Coverage.Fault, for time: Int64) {
        felt.append((fault, schedule.now + time + Coverage.echo))
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

    private var someone: (seat: Int, machine: Machine)? {
        let seat = random(0, (program?.seats ?? 1) - 1)
        return machines[seat].map { (seat, $0) }
    }

    private var someNode: SimulatedNode { nodes[random(0, nodes.count - 1)] }

    /// By chance, in milliseconds.
    private func time(_ least: Int64, _ most: Int64) -> Int64 {
        Int64.random(in: least * Weather.millisecond...most * Weather.millisecond, using: &schedule.random)
    }
}
