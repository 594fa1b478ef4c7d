import Logging
import Redis
import Redlock

/// A process' connection to a lock node, in place of the one over TCP: what was sent on a connection does not come on the
/// next one.
///
/// Unchecked: one thread runs a simulation.
final class SimulatedConnection: LockNode, @unchecked Sendable {
    let name: String
    let way = Way()
    private let node: SimulatedNode
    private let process: SimulatedProcess
    private let network: Network
    private let watch: NodeWatch
    /// The node's run that it is connected to.
    private var run: Int?

    init(
        _ process: SimulatedProcess,
        to node: SimulatedNode,
        _ network: Network,
        _ configuration: RedlockConfiguration,
        _ logger: Logger
    ) {
        name = "node-\(node.number)"
        self.node = node
        self.process = process
        self.network = network
        watch = NodeWatch(name: name, configuration: configuration, clock: process, logger: logger)
    }

    var mayVote: Bool { run != nil && !watch.isQuarantined() }

    func run() async {}

    func ask(
        _ questions: LockQuestions,
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) -> (any PendingVote)? {
        process.stall()
        let asked = watch.isQuarantined() ? questions.list.filter { $0.kind == .release } : questions.list
        let fill: ([LockAnswer]) -> Void = { [watch] answers in
            var answers = answers[...]
            let isQuarantined = watch.isQuarantined()
            answer(
                questions.list.map { question in
                    guard asked.contains(where: { $0 === question }) else { return LockAnswer(.quarantined) }
                    let answer = answers.removeFirst()
                    return isQuarantined && question.kind != .release ? LockAnswer(.quarantined) : answer
                }
            )
        }
        guard !asked.isEmpty else {
            fill([])
            return nil
        }
        let pending = SimulatedVote(process, count: asked.count, fill)
        guard let run else {
            process.schedule.at(process.schedule.now, of: process) { pending.answer(.unreachable) }
            return pending
        }
        let request = LockQuestions(asked)
        network.ask(node.server, from: process, over: way) { [node] in
            node.run == run ? node.answer(request) : nil
        } _: { [self] answers in
            // An answer does not come after its connection was lost.
            if self.run == run { pending.answer(answers) }
        }
        pending.giveUp(within: deadline)
        return pending
    }

    /// Connects, now and each time that the node has gone.
    func keepConnected() {
        connect()
        node.onCrash { [self] in later { [self] in connect() } }
    }

    private func connect() {
        let schedule = process.schedule
        let isThere = node.server.isUp && way.cutUntil <= schedule.now && node.server.frozenUntil <= schedule.now
        if run != nil {
            guard run != node.run || !node.server.isUp else { return }
            run = nil
            watch.changed(.lost(RedisError(.reply, endpoint: name, message: "it is gone")))
        }
        guard isThere else { return later { [self] in connect() } }
        run = node.run
        let info = RedisServerInfo(
            runID: "\(node.number).\(node.run)",
            uptime: .seconds(node.uptime),
            version: "7",
            readAt: process.now,
            persistsEveryWrite: node.persists
        )
        watch.changed(.connected(info))
    }

    private func later(_ action: @escaping () -> Void) {
        let schedule = process.schedule
        guard !schedule.isOver else { return }
        let pause = Int64.random(in: 1...150, using: &schedule.random) * Weather.millisecond
        schedule.at(schedule.now + pause, of: process, action)
    }
}

/// An answer that is waited for.
///
/// Unchecked: one thread runs a simulation.
private final class SimulatedVote: PendingVote, @unchecked Sendable {
    private let process: SimulatedProcess
    private let count: Int
    private var waiting: (([LockAnswer]) -> Void)?

    init(_ process: SimulatedProcess, count: Int, _ waiting: @escaping ([LockAnswer]) -> Void) {
        self.process = process
        self.count = count
        self.waiting = waiting
    }

    func answer(_ answers: [LockAnswer]) { waiting.take()?(answers) }

    func answer(_ verdict: Vote.Verdict) { answer(Array(repeating: LockAnswer(verdict), count: count)) }

    func giveUp(within limit: Duration) {
        guard limit > .zero else { return answer(.late) }
        let time = limit.microseconds * 1000
        process.schedule.at(process.schedule.now + time, of: process) { [self] in answer(.late) }
    }
}
