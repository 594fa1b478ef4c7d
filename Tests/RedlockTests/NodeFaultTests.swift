import LocalStack
import Redis
import Redlock
import TestSupport
import Testing

/// What a failing node does to tries for a lock: the outcome, and the time it took against the deadline (printed).
@Suite(.timeLimit(.minutes(3)))
struct NodeFaultTests {
    enum Fault: String, CaseIterable {
        case frozen
        case killed
        case killedWhileAsked = "killed while it owes an answer"
        case restarted = "restarted with its data"
        case emptied = "restarted empty"

        /// What the node says then.
        var verdicts: [Vote.Verdict] {
            switch self {
            case .frozen: [.late]
            case .killed: [.unreachable]
            case .killedWhileAsked: [.unreachable, .late]
            case .restarted, .emptied: [.granted]
            }
        }

        func strike(_ nodes: TestNodes, _ index: Int) async throws {
            let server = nodes.servers[index]
            switch self {
            case .frozen, .killedWhileAsked: server.pause()
            case .killed: await kill(nodes, index)
            case .restarted, .emptied:
                await kill(nodes, index)
                if self == .emptied { try server.removeData() }
                try await server.start()
                await connected(nodes, index)
            }
        }

        func end(_ nodes: TestNodes, _ index: Int) async throws {
            switch self {
            case .frozen: nodes.servers[index].resume()
            case .killed, .killedWhileAsked:
                await nodes.servers[index].kill()
                try await nodes.servers[index].start()
            case .restarted, .emptied: break
            }
            await connected(nodes, index)
        }

        private func kill(_ nodes: TestNodes, _ index: Int) async {
            await nodes.servers[index].kill()
            while nodes.nodes[index].isConnected { await Task.yield() }
        }

        private func connected(_ nodes: TestNodes, _ index: Int) async {
            while true {
                if (try? await nodes.nodes[index].send(RedisCommand("PING"), within: .seconds(5))) != nil { return }
                await Task.yield()
            }
        }
    }

    private let key: LockKey

    init() throws { key = try LockKey("k") }

    private var configuration: RedlockConfiguration {
        var configuration = RedlockConfiguration()
        configuration.retryCount = 0
        configuration.nodeDeadline = .seconds(2)
        configuration.stragglerGrace = .milliseconds(500)
        // What a node without its data does to a held lock is for RestartTests.
        configuration.quarantinesRestartedNodes = false
        return configuration
    }

    private func withNodes(_ body: (TestNodes) async throws -> Void) async throws {
        try await TestNodes.with(3, configuration: configuration) { nodes in
            for node in nodes.nodes { _ = try await node.send(RedisCommand("PING"), within: .seconds(30)) }
            try await body(nodes)
        }
    }

    /// Servers without connections.
    private func withServers(_ body: ([RedisServer]) async throws -> Void) async throws {
        var servers: [RedisServer] = []
        for _ in 1...3 { servers.append(try await TestServers.makeRedis(options: RedisServer.persistent)) }
        let result: Result<Void, any Error>
        do { result = .success(try await body(servers)) } catch { result = .failure(error) }
        for server in servers { await server.stop() }
        try result.get()
    }

    private func attempt(_ nodes: TestNodes, _ fault: Fault, _ index: Int) async throws -> Acquisition {
        async let acquisition = nodes.redlock.tryAcquire(key, token: "t", ttl: .seconds(20))
        if fault == .killedWhileAsked { await nodes.servers[index].kill() }
        return await acquisition
    }

    private func report(_ fault: String, _ acquisition: Acquisition) {
        let votes = acquisition.votes.map { "\($0.verdict) after \($0.latency.milliseconds) ms" }
        print(
            "\(fault): \(acquisition.ending), \(votes.joined(separator: ", ")); deadline 2,000 ms, grace 500 ms"
        )
    }

    @Test(arguments: Fault.allCases)
    func `with a minority in trouble the lock is had, and the vote says what the trouble was`(fault: Fault) async throws
    {
        try await withNodes { (nodes) async throws in
            try await fault.strike(nodes, 2)
            let acquisition = try await attempt(nodes, fault, 2)
            report(fault.rawValue, acquisition)
            let hold = try #require(acquisition.hold)
            #expect(hold.votes[0].verdict == .granted && hold.votes[1].verdict == .granted)
            #expect(fault.verdicts.contains(hold.votes[2].verdict))
            // Nobody else has it meanwhile, also once the node is back.
            #expect(await nodes.redlock.tryAcquire(key, token: "u", ttl: .seconds(20)).ending != .granted)
            try await fault.end(nodes, 2)
            #expect(await nodes.redlock.tryAcquire(key, token: "v", ttl: .seconds(20)).ending != .granted)
            await nodes.redlock.release(hold)
        }
    }

    @Test(arguments: [Fault.frozen, .killed, .killedWhileAsked])
    func `with a majority in trouble nothing is left locked, and recovery is by itself`(fault: Fault) async throws {
        try await withNodes { (nodes) async throws in
            try await fault.strike(nodes, 1)
            try await fault.strike(nodes, 2)
            let acquisition = try await attempt(nodes, fault, 2)
            report(fault.rawValue, acquisition)
            #expect(acquisition.ending == .noQuorum)
            #expect(acquisition.votes[0].verdict == .granted)
            let left = try await nodes.nodes[0].send(RedisCommand("EXISTS", "locks:k"), within: .seconds(30))
            #expect(left.int == 0)
            try await fault.end(nodes, 1)
            try await fault.end(nodes, 2)
            // What was asked of a frozen node, and then taken back, is over when it answers again.
            let hold = try #require(await nodes.redlock.tryAcquire(key, token: "u", ttl: .seconds(20)).hold)
            #expect(hold.votes.map(\.verdict) == [.granted, .granted, .granted])
            await nodes.redlock.release(hold)
        }
    }

    @Test
    func `a node that accepts and never answers is late, or not to be reached`() async throws {
        try await withServers { (servers) async throws in
            // Its system accepts connections for it.
            servers[2].pause()
            let redlock = try Redlock(nodes: servers.map(\.url), logger: .quiet)
            try await redlock.whileConnected {
                while !redlock.hasQuorum { await Task.yield() }
                for _ in 1...3 {
                    let hold = try await redlock.acquire(key)
                    #expect(hold.votes.count { $0.verdict == .granted } == 2)
                    #expect([.late, .unreachable].contains(hold.votes[2].verdict))
                    await redlock.release(hold)
                }
            }
        }
    }

    @Test(arguments: [1, 2])
    func `a node whose connection is reset in mid-reply has no vote, though it has the lock`(broken: Int) async throws {
        try await withServers { (servers) async throws in
            var proxies: [ResettingProxy] = []
            for server in servers { proxies.append(try await ResettingProxy(to: server.port)) }
            let redlock = try Redlock(nodes: proxies.map(\.url), configuration: configuration, logger: .quiet)
            let other = try Redlock(nodes: servers.map(\.url), configuration: configuration, logger: .quiet)
            try await redlock.whileConnected {
                try await other.whileConnected {
                    while redlock.nodes.contains(where: { !$0.mayVote }) { await Task.yield() }
                    while other.nodes.contains(where: { !$0.mayVote }) { await Task.yield() }
                    for proxy in proxies.suffix(broken) { proxy.resetInNextReply() }
                    let acquisition = await redlock.tryAcquire(key, token: "t", ttl: .seconds(5))
                    report("reset in mid-reply", acquisition)
                    let verdicts = acquisition.votes.map(\.verdict)
                    #expect(verdicts.prefix(3 - broken).allSatisfy { $0 == .granted })
                    // On a busy machine the reset may come after the deadline.
                    #expect(verdicts.suffix(broken).allSatisfy { [.unreachable, .late].contains($0) })
                    if let hold = acquisition.hold {
                        #expect(broken == 1)
                        #expect(await other.tryAcquire(key, token: "u", ttl: .seconds(5)).ending == .held)
                        await redlock.release(hold)
                    } else {
                        #expect(broken == 2)
                    }
                    // At the latest when the lock that the lost answer was about has expired.
                    while await redlock.tryAcquire(key, token: "v", ttl: .seconds(20)).hold == nil {
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    #expect(await other.tryAcquire(key, token: "u", ttl: .seconds(20)).ending == .held)
                }
            }
        }
    }
}
