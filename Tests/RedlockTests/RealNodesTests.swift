import LocalStack
import Redis
import Redlock
import TestSupport
import Testing

/// The lock on real nodes, and what foreign clients see of it.
@Suite(.timeLimit(.minutes(3)))
struct RealNodesTests {
    private let key: LockKey
    /// So long that nothing runs out, however slow the machine is.
    private let ttl = Duration.seconds(3600)
    /// Longer than any answer takes.
    private let ample = Duration.seconds(50)

    init() throws { key = try LockKey("k") }

    /// Connected nodes, and a lock that waits for all of them.
    private func withNodes(_ count: Int, _ body: (TestNodes, Redlock) async throws -> Void) async throws {
        try await TestNodes.with(count) { nodes in
            for node in nodes.nodes { _ = try await node.send(RedisCommand("PING"), within: ample) }
            var configuration = RedlockConfiguration()
            configuration.nodeDeadline = .seconds(30)
            configuration.stragglerGrace = .seconds(30)
            configuration.longestTTL = ttl
            try await body(nodes, Redlock(nodes: nodes.lockNodes, configuration: configuration, logger: .quiet))
        }
    }

    /// What each node has under a key.
    private func values(_ nodes: [RedisNode], at key: String = "locks:k") async throws -> [String?] {
        var values: [String?] = []
        for node in nodes { values.append(try await node.send(RedisCommand("GET", key), within: ample).string) }
        return values
    }

    private func left(on node: RedisNode) async throws -> Duration {
        .milliseconds(try await node.send(RedisCommand("PTTL", "locks:k"), within: ample).int ?? 0)
    }

    private func isNothingLocked(_ nodes: [RedisNode]) async throws -> Bool {
        try await values(nodes).allSatisfy { $0 == nil }
    }

    private func end(_ nodes: TestNodes, _ index: Int) async {
        await nodes.servers[index].kill()
        while nodes.nodes[index].isConnected { await Task.yield() }
    }

    @Test(arguments: ["k", "a key", "鍵🔑", "a\r\nb"])
    func `a lock is the token under locks colon key, for no longer than the TTL`(text: String) async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            let hold = try #require(await redlock.tryAcquire(try LockKey(text), token: "t0k3n", ttl: ttl).hold)
            #expect(hold.votes.map(\.verdict) == [.granted, .granted, .granted])
            #expect(hold.votes.map(\.node) == nodes.nodes.map(\.endpoint.description))
            #expect(try await values(nodes.nodes, at: "locks:\(text)") == ["t0k3n", "t0k3n", "t0k3n"])
            for node in nodes.nodes {
                let left = try await node.send(RedisCommand("PTTL", "locks:\(text)"), within: ample).int ?? 0
                #expect(left > 0 && left <= ttl.milliseconds)
                #expect(try await node.send(RedisCommand("KEYS", "locks:*"), within: ample).elements?.count == 1)
            }
            #expect(await redlock.release(hold).map(\.verdict) == [.granted, .granted, .granted])
            for node in nodes.nodes {
                #expect(try await node.send(RedisCommand("KEYS", "locks:*"), within: ample).elements == [])
            }
        }
    }

    @Test
    func `one node that is down has no vote, and the others are a quorum`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            await end(nodes, 1)
            let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
            #expect(hold.votes.map(\.verdict) == [.granted, .unreachable, .granted])
            #expect(try await values([nodes.nodes[0], nodes.nodes[2]]) == ["t", "t"])
            #expect(await redlock.release(hold).map(\.verdict) == [.granted, .unreachable, .granted])
            #expect(try await isNothingLocked([nodes.nodes[0], nodes.nodes[2]]))
        }
    }

    @Test
    func `with two nodes down there is no quorum, and nothing is left locked on the third`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            await end(nodes, 0)
            await end(nodes, 1)
            let acquisition = await redlock.tryAcquire(key, token: "t", ttl: ttl)
            let exists = try await nodes.nodes[2].send(RedisCommand("EXISTS", "locks:k"), within: ample)
            #expect(acquisition.ending == .noQuorum)
            #expect(acquisition.votes.map(\.verdict) == [.unreachable, .unreachable, .granted])
            #expect(exists.int == 0)
        }
    }

    @Test
    func `a foreign client's lock excludes ours, and the node that we did win is free again`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            for node in nodes.nodes[0...1] {
                let reply = try await node.send(
                    RedisCommand("SET", "locks:k", "foreign", "NX", "PX", 3_600_000),
                    within: ample
                )
                #expect(reply == .simple("OK"))
            }
            let acquisition = await redlock.tryAcquire(key, token: "t", ttl: ttl)
            #expect(try await values(nodes.nodes) == ["foreign", "foreign", nil])
            #expect(acquisition.ending == .held)
            #expect(acquisition.votes.map(\.verdict) == [.held, .held, .granted])
        }
    }

    @Test
    func `our lock excludes a foreign client until it is released`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            let foreign = RedisCommand("SET", "locks:k", "foreign", "NX", "PX", 3_600_000)
            let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
            for node in nodes.nodes { #expect(try await node.send(foreign, within: ample) == .null) }
            #expect(try await values(nodes.nodes) == ["t", "t", "t"])
            await redlock.release(hold)
            for node in nodes.nodes { #expect(try await node.send(foreign, within: ample) == .simple("OK")) }
        }
    }

    @Test
    func `a holder whose token is gone neither releases nor extends another's lock`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
            for node in nodes.nodes {
                _ = try await node.send(RedisCommand("SET", "locks:k", "foreign", "PX", 1_000_000), within: ample)
            }
            let error = await #expect(throws: LockError.self) { try await redlock.extend(hold) }
            #expect(error?.code == .lost)
            #expect(error?.votes.map(\.verdict) == [.held, .held, .held])
            #expect(await redlock.release(hold).map(\.verdict) == [.held, .held, .held])
            #expect(try await values(nodes.nodes) == ["foreign", "foreign", "foreign"])
            for node in nodes.nodes {
                let left = try await node.send(RedisCommand("PTTL", "locks:k"), within: ample).int ?? 0
                #expect(left > 0 && left <= 1_000_000)
            }
        }
    }

    @Test
    func `an extension gives the lock its whole TTL again, on a quorum of nodes`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
            await end(nodes, 2)
            let living = nodes.nodes[0...1]
            // Until there is something to extend.
            for node in living { while try await left(on: node) > ttl - .milliseconds(20) {} }
            let before = [try await left(on: living[0]), try await left(on: living[1])]
            let extended = try await redlock.extend(hold)
            #expect(extended.validUntil > hold.validUntil)
            #expect(extended.votes.map(\.verdict) == [.granted, .granted, .unreachable])
            for (node, before) in zip(living, before) { #expect(try await left(on: node) > before) }
        }
    }

    @Test(arguments: [-600_000, 600_000])
    func `a node whose clock has stepped has no vote on the hold any more, and two are one too many`(step: Int)
        async throws
    {
        try await withNodes(3) { (nodes, redlock) async throws in
            var hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
            // What a step of the node's clock does to the time that is left.
            func stepClock(_ node: RedisNode) async throws {
                let left = Int(try await left(on: node).milliseconds)
                _ = try await node.send(RedisCommand("PEXPIRE", "locks:k", left + step), within: ample)
            }
            hold = try await redlock.extend(hold)
            try await stepClock(nodes.nodes[1])
            for _ in 1...2 {
                hold = try await redlock.extend(hold)
                #expect(hold.votes.map(\.verdict) == [.granted, .stepped, .granted])
            }
            try await stepClock(nodes.nodes[0])
            let last = hold
            let error = await #expect(throws: LockError.self) { try await redlock.extend(last) }
            #expect(error?.code == .lost)
            #expect(error?.votes.map(\.verdict) == [.stepped, .stepped, .granted])
            // A hold that was acquired after the step is not touched by it.
            await redlock.release(hold)
            let next = try #require(await redlock.tryAcquire(key, token: "n", ttl: ttl).hold)
            #expect(try await redlock.extend(next).votes.map(\.verdict) == [.granted, .granted, .granted])
        }
    }

    @Test
    func `of many who try at once no two hold the lock`() async throws {
        try await withNodes(3) { (nodes, redlock) async throws in
            let acquisitions = await withTaskGroup(of: Acquisition.self) { group in
                for number in 0..<30 {
                    group.addTask { [key, ttl] in await redlock.tryAcquire(key, token: "t\(number)", ttl: ttl) }
                }
                var acquisitions: [Acquisition] = []
                for await acquisition in group { acquisitions.append(acquisition) }
                return acquisitions
            }
            let holds = acquisitions.compactMap(\.hold)
            #expect(holds.count <= 1)
            // The losers have taken back what they won: only the winner's tokens are left.
            let left = Set(try await values(nodes.nodes).compactMap(\.self))
            #expect(left == Set(holds.map(\.token)))
            for hold in holds { await redlock.release(hold) }
            #expect(await redlock.tryAcquire(key, token: "next", ttl: ttl).ending == .granted)
        }
    }

    @Test
    func `a cancelled try leaves nothing locked`() async throws {
        try await withNodes(3) { (nodes, _) async throws in
            // The nodes have granted, and their answers are held back until the try is cancelled.
            let (grants, grant) = AsyncStream.makeStream(of: Void.self)
            let gate = Gate()
            let heldBack = nodes.lockNodes.map { node in
                ScriptedNode(node.name) { [ample] question in
                    let verdict = await withCheckedContinuation { answered in
                        let names = [question.lock]
                        let question = LockQuestion(
                            question.kind,
                            names: names,
                            token: question.token,
                            ttl: question.ttl
                        )
                        _ = node.ask(LockQuestions([question]), within: ample) {
                            answered.resume(returning: $0[0].verdict)
                        }
                    }
                    guard question.kind == .acquire else { return verdict }
                    grant.yield()
                    await gate.wait()
                    return verdict
                }
            }
            var configuration = RedlockConfiguration()
            configuration.longestTTL = ttl
            let redlock = Redlock(nodes: heldBack, configuration: configuration, logger: .quiet)
            let trial = Task { [key, ttl] in await redlock.tryAcquire(key, token: "t", ttl: ttl) }
            var iterator = grants.makeAsyncIterator()
            for _ in heldBack { await iterator.next() }
            #expect(try await values(nodes.nodes) == ["t", "t", "t"])
            trial.cancel()
            #expect(await trial.value.ending == .noQuorum)
            #expect(try await isNothingLocked(nodes.nodes))
            gate.open()
        }
    }

    @Test
    func `what a frozen node grants later is taken back when it thaws, though it has run no script before`()
        async throws
    {
        try await withNodes(3) { (nodes, _) async throws in
            for node in nodes.nodes[0...1] {
                _ = try await node.send(RedisCommand("SET", "locks:k", "foreign"), within: ample)
            }
            nodes.servers[2].pause()
            let acquisition = await nodes.redlock.tryAcquire(key, token: "t", ttl: .seconds(60))
            #expect(acquisition.ending != .granted)
            #expect(acquisition.votes[2].verdict == .late)
            nodes.servers[2].resume()
            // On the same connection, so answered after all that was sent before.
            #expect(try await values([nodes.nodes[2]]) == [nil])
        }
    }
}
