import Redlock
import Synchronization
import TestSupport
import Testing

/// Tries for a lock and releases, on nodes that the test plays and a clock that it moves.
@Suite(.timeLimit(.minutes(1)))
struct AcquireTests {
    private let clock = ManualClock()
    private let key: LockKey
    private let ttl = Duration.seconds(20)

    init() throws { key = try LockKey("k") }

    private func makeRedlock(_ nodes: [ScriptedNode], grace: Duration = .milliseconds(20)) -> Redlock {
        var configuration = RedlockConfiguration()
        configuration.stragglerGrace = grace
        return Redlock(nodes: nodes, configuration: configuration, clock: clock, logger: .quiet)
    }

    private func makeNodes(_ verdicts: [Vote.Verdict]) -> [ScriptedNode] {
        verdicts.enumerated().map { index, verdict in ScriptedNode("node-\(index)", clock: clock) { _ in verdict } }
    }

    @Test(
        arguments: [
            (verdicts: [.granted], ending: .granted, released: []),
            (verdicts: [.held], ending: .held, released: []),
            (verdicts: [.unreachable], ending: .noQuorum, released: [0]),
            (verdicts: [.granted, .granted, .granted], ending: .granted, released: []),
            (verdicts: [.unreachable, .granted, .granted], ending: .granted, released: []),
            (verdicts: [.granted, .held, .granted], ending: .granted, released: []),
            (verdicts: [.granted, .granted, .late], ending: .granted, released: []),
            (verdicts: [.held, .held, .held], ending: .held, released: []),
            (verdicts: [.held, .granted, .held], ending: .held, released: [1]),
            (verdicts: [.granted, .held, .unreachable], ending: .held, released: [0, 2]),
            (verdicts: [.late, .held, .granted], ending: .held, released: [0, 2]),
            (verdicts: [.granted, .unreachable, .unreachable], ending: .noQuorum, released: [0, 1, 2]),
            (verdicts: [.granted, .late, .unreachable], ending: .noQuorum, released: [0, 1, 2]),
            (verdicts: [.late, .late, .late], ending: .noQuorum, released: [0, 1, 2]),
            (verdicts: [.held, .unreachable, .late], ending: .noQuorum, released: [1, 2]),
            (verdicts: [.granted, .granted, .granted, .held, .unreachable], ending: .granted, released: []),
            (verdicts: [.granted, .granted, .held, .held, .unreachable], ending: .held, released: [0, 1, 4]),
            (verdicts: [.granted, .granted, .late, .late, .late], ending: .noQuorum, released: [0, 1, 2, 3, 4]),
        ] as [(verdicts: [Vote.Verdict], ending: Ending, released: [Int])]
    )
    func `a quorum of votes is a hold, and what is won in vain is given back`(
        verdicts: [Vote.Verdict],
        ending: Ending,
        released: [Int]
    ) async {
        let nodes = makeNodes(verdicts)
        let acquisition = await makeRedlock(nodes).tryAcquire(key, token: "t", ttl: ttl)
        #expect(acquisition.ending == ending)
        #expect(acquisition.votes.map(\.verdict) == verdicts)
        #expect(acquisition.votes.map(\.node) == nodes.map(\.name))
        #expect(nodes.indices.filter { !nodes[$0].questions(.release).isEmpty } == released)
        for node in nodes {
            #expect(node.questions.allSatisfy { $0.lock == "locks:k" && $0.token == "t" })
            #expect(node.questions(.acquire).map(\.ttl) == [ttl])
        }
    }

    @Test
    func `votes are in the nodes' order, whichever answers first`() async {
        // The last answers first, and each lets the one before it answer.
        let gates = (0..<3).map { _ in Gate() }
        let verdicts: [Vote.Verdict] = [.granted, .unreachable, .granted]
        gates[2].open()
        let nodes = (0..<3).map { index in
            ScriptedNode("node-\(index)", clock: clock) { _ in
                await gates[index].wait()
                if index > 0 { gates[index - 1].open() }
                return verdicts[index]
            }
        }
        let votes = await makeRedlock(nodes).tryAcquire(key, token: "t", ttl: ttl).votes
        #expect(votes.map(\.node) == ["node-0", "node-1", "node-2"])
        #expect(votes.map(\.verdict) == verdicts)
    }

    @Test(arguments: [
        (elapsed: Duration.zero, left: Duration.milliseconds(19_798) as Duration?),
        (elapsed: .milliseconds(19_797), left: .milliseconds(1)),
        (elapsed: .milliseconds(19_798), left: nil),
        (elapsed: .seconds(21), left: nil),
    ])
    func `a vote that comes too late to be relied on is no hold`(elapsed: Duration, left: Duration?) async {
        let node = ScriptedNode("node", clock: clock) { [clock] question in
            if question.kind == .acquire { clock.advance(to: clock.now.advanced(by: elapsed)) }
            return .granted
        }
        let acquisition = await makeRedlock([node]).tryAcquire(key, token: "t", ttl: ttl)
        #expect(acquisition.ending == (left == nil ? .noQuorum : .granted))
        #expect(acquisition.votes.map(\.verdict) == [.granted])
        #expect(acquisition.votes.map(\.latency) == [elapsed])
        #expect(acquisition.hold?.acquiredAt == (left == nil ? nil : clock.now))
        #expect(acquisition.hold.map { $0.acquiredAt.duration(to: $0.validUntil) } == left)
        #expect(node.questions(.release).count == (left == nil ? 1 : 0))
    }

    @Test(arguments: [
        (ttl: Duration.seconds(1), deadline: Duration.milliseconds(100)),
        (ttl: .seconds(4), deadline: .milliseconds(400)),
        (ttl: .seconds(20), deadline: .milliseconds(500)),
    ])
    func `a node has well under the TTL to answer`(ttl: Duration, deadline: Duration) async {
        let node = ScriptedNode("node", clock: clock) { $0.kind == .acquire ? .unreachable : .granted }
        _ = await makeRedlock([node]).tryAcquire(key, token: "t", ttl: ttl)
        #expect(node.questions.map(\.kind) == [.acquire, .release])
        #expect(node.questions.map(\.deadline) == [deadline, deadline])
    }

    @Test(arguments: [
        (others: Vote.Verdict.granted, ending: Ending.granted, isReleased: false),
        (others: .held, ending: .held, isReleased: true),
    ])
    func `a node that never answers is waited for no longer than the grace`(
        others: Vote.Verdict,
        ending: Ending,
        isReleased: Bool
    ) async {
        let never = Gate()
        let silent = ScriptedNode("silent", clock: clock) { question in
            if question.kind == .acquire { await never.wait() }
            return .late
        }
        let nodes = [silent] + makeNodes([others, others])
        let start = clock.now
        let redlock = makeRedlock(nodes)
        async let acquisition = redlock.tryAcquire(key, token: "t", ttl: ttl)
        let graceOver = start.advanced(by: .milliseconds(20))
        await clock.whenSleeping { $0 == [graceOver] }
        clock.advance(to: graceOver)
        #expect(await acquisition.ending == ending)
        #expect(await acquisition.votes.map(\.verdict) == [.late, others, others])
        #expect(silent.questions(.release).isEmpty == !isReleased)
    }

    @Test
    func `a vote within the grace counts`() async {
        let gate = Gate()
        let slow = ScriptedNode("slow", clock: clock) { _ in
            await gate.wait()
            return .granted
        }
        let redlock = makeRedlock([slow] + makeNodes([.granted, .granted]))
        async let acquisition = redlock.tryAcquire(key, token: "t", ttl: ttl)
        await clock.whenSleeping { !$0.isEmpty }
        gate.open()
        #expect(await acquisition.votes.map(\.verdict) == [.granted, .granted, .granted])
    }

    @Test
    func `a cancelled try gives back what was granted, and names no other holder`() async {
        let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
        let gate = Gate()
        let nodes = (0..<3).map { index in
            ScriptedNode("node-\(index)", clock: clock) { question in
                guard question.kind == .acquire else { return Task.isCancelled ? .late : .granted }
                arrival.yield()
                await gate.wait()
                return .granted
            }
        }
        let redlock = makeRedlock(nodes)
        let trial = Task { [key, ttl] in await redlock.tryAcquire(key, token: "t", ttl: ttl) }
        var iterator = arrivals.makeAsyncIterator()
        for _ in nodes { await iterator.next() }
        trial.cancel()
        gate.open()
        #expect(await trial.value.ending == .noQuorum)
        for node in nodes { #expect(node.questions(.release).map(\.token) == ["t"]) }
    }

    @Test
    func `a cancelled caller's release reaches every node`() async throws {
        let nodes = (0..<3).map { index in
            ScriptedNode("node-\(index)", clock: clock) { _ in Task.isCancelled ? .late : .granted }
        }
        let redlock = makeRedlock(nodes)
        let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
        let release = Task {
            await Gate().wait()  // Until it is cancelled.
            return await redlock.release(hold)
        }
        release.cancel()
        #expect(await release.value.map(\.verdict) == [.granted, .granted, .granted])
        for node in nodes { #expect(node.questions(.release).map(\.token) == ["t"]) }
    }

    @Test(arguments: [1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 7: 4])
    func `a quorum is more than half of the nodes`(count: Int, quorum: Int) {
        #expect(makeRedlock(makeNodes(Array(repeating: .granted, count: count))).quorum == quorum)
    }
}
