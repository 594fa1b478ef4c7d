import InMemoryLogging
import LocalStack
import Logging
import Redis
import Redlock
import TestSupport
import Testing

/// Nodes that answer PING, and refuse what locks ask of them.
@Suite(.timeLimit(.minutes(3)))
struct RefusingNodesTests {
    enum Fault: String, CaseIterable {
        case replica = "READONLY"
        case full = "OOM"
        case noReplicas = "NOREPLICAS"
        case noRight = "NOPERM"

        func strike(_ node: RedisNode) async throws {
            switch self {
            case .replica: try await node.order("REPLICAOF", "127.0.0.1", "1")
            case .full: try await node.order("CONFIG", "SET", "maxmemory", "1")
            case .noReplicas: try await node.order("CONFIG", "SET", "min-replicas-to-write", "1")
            case .noRight: try await node.order("ACL", "SETUSER", "default", "-set")
            }
        }

        func end(_ node: RedisNode) async throws {
            switch self {
            case .replica: try await node.order("REPLICAOF", "NO", "ONE")
            case .full: try await node.order("CONFIG", "SET", "maxmemory", "0")
            case .noReplicas: try await node.order("CONFIG", "SET", "min-replicas-to-write", "0")
            case .noRight: try await node.order("ACL", "SETUSER", "default", "+set")
            }
        }
    }

    private let key: LockKey

    init() throws { key = try LockKey("k") }

    /// Lends nodes that all vote, and a lock over them.
    private func withNodes(_ logger: Logger = .quiet, _ body: ([RedisLockNode], Redlock) async throws -> Void)
        async throws
    {
        var servers: [RedisServer] = []
        for _ in 1...3 { servers.append(try await TestServers.makeRedis(options: RedisServer.persistent)) }
        var configuration = RedlockConfiguration()
        configuration.retryCount = 0
        configuration.nodeDeadline = .seconds(2)
        configuration.stragglerGrace = .milliseconds(500)
        let nodes = try servers.map { [configuration] in
            RedisLockNode(try RedisEndpoint($0.url), configuration: configuration, logger: logger)
        }
        let redlock = Redlock(nodes: nodes, configuration: configuration, logger: .quiet)
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await redlock.whileConnected {
                    try await until { nodes.allSatisfy(\.mayVote) }
                    try await body(nodes, redlock)
                }
            )
        } catch {
            result = .failure(error)
        }
        for server in servers { await server.stop() }
        try result.get()
    }

    private func until(_ condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(10)) }
    }

    @Test(arguments: Fault.allCases)
    func `a node that answers with an error has no vote, is told by name and code, and votes again by itself`(
        fault: Fault
    ) async throws {
        let handler = InMemoryLogHandler()
        try await withNodes(Logger(label: "test") { _ in handler }) { nodes, redlock in
            try await fault.strike(nodes[2].connection)
            let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: .seconds(20)).hold)
            #expect(hold.votes.map(\.verdict) == [.granted, .granted, .refused])
            #expect(!nodes[2].mayVote && redlock.hasQuorum)
            #expect(redlock.nodesWithoutVote.count == 1)
            #expect(redlock.nodesWithoutVote[0].hasPrefix("\(nodes[2].name) (\(fault.rawValue) "))
            await redlock.release(hold)
            for _ in 1...5 { _ = await redlock.tryAcquire(key, token: "u", ttl: .seconds(20)) }
            let told = handler.entries.filter { $0.level == .warning }
            #expect(told.count == 1)
            #expect(told.first?.metadata["code"] == "\(fault.rawValue)")
            #expect(told.first?.metadata["node"] == "\(nodes[2].name)")
            try await fault.end(nodes[2].connection)
            try await until { nodes[2].mayVote }
            #expect(handler.entries.last?.message == "Lock node votes again")
        }
    }

    @Test
    func `a quorum of nodes that refuse is none, although nobody has asked them for a lock`() async throws {
        try await withNodes { nodes, redlock in
            for node in nodes.prefix(2) { try await Fault.replica.strike(node.connection) }
            try await until { !redlock.hasQuorum }
            #expect(redlock.missingQuorum?.contains("READONLY") == true)
            guard case .noQuorum(let votes) = await redlock.tryAcquire(key, token: "t", ttl: .seconds(20)) else {
                Issue.record("it was had")
                return
            }
            #expect(votes.map(\.verdict) == [.refused, .refused, .granted])
            for node in nodes.prefix(2) { try await Fault.replica.end(node.connection) }
            try await until { redlock.hasQuorum }
        }
    }

    @Test
    func `two names of one server are one node, a replica is none, and what is set up badly is told`() async throws {
        let careless = [
            "--no-appendfsync-on-rewrite", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl",
        ]
        let servers = [
            try await TestServers.makeRedis(options: RedisServer.persistent),
            try await TestServers.makeRedis(options: RedisServer.persistent),
            try await TestServers.makeRedis(options: RedisServer.persistent + careless),
        ]
        let handler = InMemoryLogHandler()
        // Another name, and another database of it.
        let twinURL = servers[0].url.replacing("127.0.0.1", with: "localhost") + "/1"
        let redlock = try Redlock(
            nodes: [servers[0].url, twinURL, servers[1].url, servers[2].url, "redis://127.0.0.1:1"],
            logger: Logger(label: "test") { _ in handler }
        )
        let nodes = redlock.nodes
        let administrator = RedisNode(try RedisEndpoint(servers[1].url), logger: .quiet)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await administrator.run() }
            try await administrator.order("CONFIG", "SET", "replica-read-only", "no")
            try await administrator.order("REPLICAOF", "127.0.0.1", "1")
            try await redlock.whileConnected {
                try await until {
                    nodes[0].mayVote != nodes[1].mayVote && nodes[2].obstacle?.hasPrefix("REPLICA") == true
                }
                let refused = [nodes[0], nodes[1]].compactMap(\.obstacle)
                #expect(refused.count == 1 && refused[0].hasPrefix("TWIN it is the same server as "))
                try await until { !nodes[3].warnings.isEmpty }
                #expect(nodes[3].warnings.contains { $0.hasPrefix("maxmemory-policy is volatile-ttl") })
                #expect(nodes[3].warnings.contains { $0.hasPrefix("no-appendfsync-on-rewrite is yes") })
                // Made a primary, it is one without a new connection.
                try await administrator.order("REPLICAOF", "NO", "ONE")
                try await until { nodes[2].obstacle?.hasPrefix("REPLICA") != true }
            }
            group.cancelAll()
        }
        #expect(handler.entries.contains { $0.level == .error && $0.metadata["code"] == "TWIN" })
        #expect(handler.entries.contains { $0.level == .error && $0.metadata["code"] == "REPLICA" })
        for server in servers { await server.stop() }
    }

    @Test
    func `a node whose user may not ask for anything but locks says what could not be checked`() async throws {
        let server = try await TestServers.makeRedis(options: RedisServer.persistent)
        let administrator = RedisNode(try RedisEndpoint(server.url), logger: .quiet)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await administrator.run() }
            try await administrator.order(
                "ACL",
                "SETUSER",
                "locker",
                "on",
                ">secret",
                "~locks:*",
                "+set",
                "+get",
                "+eval",
                "+evalsha",
                "+script",
                "+hello",
                "+pttl",
                "+pexpire",
                "+del",
                "+ping",
                "+info"
            )
            let url = server.url.replacing("redis://", with: "redis://locker:secret@")
            let redlock = try Redlock(nodes: [url], logger: .quiet)
            let nodes = redlock.nodes
            try await redlock.whileConnected {
                try await until { nodes[0].warnings.count == 2 }
                #expect(nodes[0].warnings.contains { $0.contains("CONFIG GET is forbidden") })
                #expect(nodes[0].warnings.contains { $0.contains("SET or GET holdfast:node") })
            }
            group.cancelAll()
        }
        await server.stop()
    }

    @Test
    func `a node that is full extends the locks that it has`() async throws {
        try await withNodes { nodes, redlock in
            let hold = try #require(await redlock.tryAcquire(key, token: "t", ttl: .seconds(20)).hold)
            for node in nodes { try await Fault.full.strike(node.connection) }
            try await until { !redlock.hasQuorum }
            let extended = try await redlock.extend(hold)
            #expect(extended.votes.map(\.verdict) == [.granted, .granted, .granted])
        }
    }

    @Test
    func `what somebody else has put under a lock's name takes no node's vote`() async throws {
        try await withNodes { nodes, redlock in
            for node in nodes { try await node.connection.order("HSET", "locks:k", "a", "b") }
            guard case .held = await redlock.tryAcquire(key, token: "t", ttl: .seconds(20)) else {
                Issue.record("not held")
                return
            }
            #expect(nodes.allSatisfy { $0.mayVote })
            let other = try #require(
                await redlock.tryAcquire(try LockKey("other"), token: "t", ttl: .seconds(20)).hold
            )
            await redlock.release(other)
        }
    }
}

extension RedisNode {
    /// Gives an order, and requires that it is carried out.
    fileprivate func order(_ words: String...) async throws {
        let reply = try await send(RedisCommand(words[0], arguments: Array(words.dropFirst())), within: .seconds(30))
        #expect(reply.error == nil)
    }
}
