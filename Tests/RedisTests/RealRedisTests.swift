import Foundation
import InMemoryLogging
import LocalStack
import Logging
import Randomness
import Redis
import TestSupport
import Testing

/// A node against servers that the tests start, freeze and kill.
@Suite(.timeLimit(.minutes(2)))
struct RealRedisTests {
    @Test
    func `a value is written and read`() async throws {
        let server = try await TestServers.makeRedis()
        try await withNode(server.url) { (node, _) async throws in
            #expect(try await node.send(RedisCommand("SET", "k", "v"), within: ample) == .simple("OK"))
            #expect(try await node.send(RedisCommand("GET", "k"), within: ample).string == "v")
            #expect(try await node.send(RedisCommand("GET", "none"), within: ample).isNull)
            #expect(try await node.send(RedisCommand("INCR", "k"), within: ample).error?.code == "ERR")
            #expect(try await node.send(RedisCommand("CLIENT", "GETNAME"), within: ample).string == "holdfast")
            let bytes = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0) }
            #expect(try await node.send(RedisCommand("SET", "big", bytes), within: ample) == .simple("OK"))
            #expect(try await node.send(RedisCommand("GET", "big"), within: ample) == .bulk(bytes))
            guard case .map(let config) = try await node.send(RedisCommand("CONFIG", "GET", "port"), within: ample)
            else {
                Issue.record("RESP3 answers with a map")
                return
            }
            #expect(config == [.init(.bulk(Array("port".utf8)), .bulk(Array("\(server.port)".utf8)))])
        }
    }

    @Test
    func `a thousand tasks each get their own replies`() async throws {
        let server = try await TestServers.makeRedis()
        try await withNode(server.url) { (node, _) async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<1000 {
                    group.addTask { () async throws in
                        for round in 0..<20 {
                            let word = "\(task)-\(round)"
                            #expect(try await node.send(RedisCommand("ECHO", word), within: ample).string == word)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test
    func `a thousand tasks that are cancelled or late at random leave the others their own replies`() async throws {
        let server = try await TestServers.makeRedis()
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        try await withNode(server.url) { (node, _) async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<1000 {
                    group.addTask {
                        var random = SeededRandom(state: seed &+ UInt64(task))
                        for round in 0..<20 {
                            let words = (0..<Int.random(in: 1...5, using: &random)).map { "\(task)-\(round)-\($0)" }
                            let limit: Duration = Bool.random(using: &random) ? ample : .microseconds(500)
                            let isCancelled = Bool.random(using: &random)
                            try await withThrowingTaskGroup(of: Void.self) { send in
                                send.addTask {
                                    do throws(RedisError) {
                                        let replies = try await node.send(
                                            words.map { RedisCommand("ECHO", $0) },
                                            within: limit
                                        )
                                        #expect(replies.map(\.string) == words)
                                    } catch {
                                        #expect(error.code == .deadline || error.code == .cancelled, "seed \(seed)")
                                    }
                                }
                                if isCancelled { send.cancelAll() }
                                try await send.waitForAll()
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await node.send(RedisCommand("ECHO", "last"), within: ample).string == "last")
        }
    }

    @Test
    func `a batch gets its replies in the commands' order, errors included`() async throws {
        let server = try await TestServers.makeRedis()
        try await withNode(server.url) { (node, _) async throws in
            let commands = (0..<5000).map { RedisCommand("ECHO", $0) }
            #expect(try await node.send(commands, within: ample).map(\.int) == (0..<5000).map { Int64($0) })
            let replies = try await node.send(
                [
                    RedisCommand("SET", "k", "v"), RedisCommand("LPUSH", "k", "v"), RedisCommand("NONE"),
                    RedisCommand("GET", "k"),
                ],
                within: ample
            )
            #expect(replies.map { $0.error?.code ?? $0.string } == ["OK", "WRONGTYPE", "ERR", "v"])
        }
    }

    @Test(arguments: ["secret", "p@s/s:%"])
    func `a password lets in`(password: String) async throws {
        let server = try await TestServers.makeRedis(options: ["--requirepass", password])
        let encoded = password.map { $0.isLetter ? "\($0)" : "%\(String($0.asciiValue ?? 0, radix: 16))" }.joined()
        try await withNode("redis://:\(encoded)@127.0.0.1:\(server.port)/5") { (node, _) async throws in
            #expect(try await node.send(RedisCommand("SET", "k", "v"), within: ample) == .simple("OK"))
            #expect(
                try await node.send(RedisCommand("CLIENT", "INFO"), within: ample).string?.contains("db=5 ") == true
            )
        }
    }

    @Test
    func `a user of an ACL is let in and held to it`() async throws {
        let server = try await TestServers.makeRedis(options: [
            "--user", "ann", "on", ">secret", "~locks:*", "+set", "+get", "--user", "default", "off",
        ])
        try await withNode("redis://ann:secret@127.0.0.1:\(server.port)") { (node, _) async throws in
            #expect(try await node.send(RedisCommand("SET", "locks:k", "v"), within: ample) == .simple("OK"))
            #expect(try await node.send(RedisCommand("SET", "k", "v"), within: ample).error?.code == "NOPERM")
            // It may not ask: who counts on that to see restarts gets nothing.
            #expect(node.serverInfo == nil)
        }
    }

    @Test(arguments: ["", ":wrong@", "nobody:secret@"])
    func `wrong credentials are logged once, without them, and tried again`(credentials: String) async throws {
        let server = try await TestServers.makeRedis(options: ["--requirepass", "secret"])
        let log = InMemoryLogHandler()
        try await withNode(
            "redis://\(credentials)127.0.0.1:\(server.port)",
            logger: Logger(label: "redis") { _ in log }
        ) { (node, states) async throws in
            guard case .lost(let error)? = await states.next() else {
                Issue.record("let in")
                return
            }
            #expect(error.code == .authenticationFailed)
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("PING"), within: ample) }
                    == .notConnected
            )
            try await withNode("redis://:secret@127.0.0.1:\(server.port)") { admin, _ in
                let change = RedisCommand(
                    "ACL",
                    "SETUSER",
                    credentials.hasPrefix("nobody") ? "nobody" : "default",
                    "on",
                    "nopass",
                    "+@all"
                )
                _ = try await admin.send(change, within: ample)
            }
            guard case .connected? = await states.next() else {
                Issue.record("not let in")
                return
            }
            #expect(
                log.entries.map { "\($0.message)" } == ["Redis node refuses the credentials", "Redis node connected"]
            )
            #expect(
                !log.entries.contains { "\($0.metadata)".contains("secret") || "\($0.metadata)".contains("wrong@") }
            )
        }
    }

    @Test
    func `a socket in the file system is a node, too`() async throws {
        let socket = "/tmp/holdfast-\(UUID().uuidString.prefix(8)).sock"
        let server = try await TestServers.makeRedis(options: ["--unixsocket", socket])
        try await withNode("unix://\(socket)?db=2") { (node, _) async throws in
            #expect(try await node.send(RedisCommand("SET", "k", "v"), within: ample) == .simple("OK"))
            #expect(node.serverInfo?.runID.count == 40)
        }
        await server.stop()
    }

    @Test(arguments: [
        (options: [], isPersistent: false),
        (options: ["--appendonly", "yes"], isPersistent: false),
        (options: ["--appendonly", "no", "--appendfsync", "always"], isPersistent: false),
        (options: ["--appendonly", "yes", "--appendfsync", "always"], isPersistent: true),
        (
            options: [
                "--appendonly", "yes", "--appendfsync", "always", "--user", "default", "on", "nopass", "~*", "&*",
                "+@all", "-config",
            ], isPersistent: false
        ),
    ])
    func `a node says whether a restart loses writes, and one that may not be asked loses them`(
        options: [String],
        isPersistent: Bool
    ) async throws {
        let server = try await TestServers.makeRedis(options: options)
        try await withNode(server.url) { (node, _) async throws in
            _ = try await node.send(RedisCommand("PING"), within: ample)
            #expect(node.serverInfo?.persistsEveryWrite == isPersistent)
        }
        await server.stop()
    }

    @Test
    func `a script is run by its source once the node has forgotten it`() async throws {
        let server = try await TestServers.makeRedis()
        let script = RedisScript("return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}")
        try await withNode(server.url) { (node, _) async throws in
            for count in 1...4 {
                if count == 3 { _ = try await node.send(RedisCommand("SCRIPT", "FLUSH"), within: ample) }
                let reply = try await node.evaluate(script, keys: ["n"], arguments: [7], within: ample).get()
                #expect(reply == .array([.bulk([0x6E]), .bulk([0x37]), .integer(Int64(count))]))
            }
            #expect(
                try await node.send(RedisCommand("SCRIPT", "LOAD", script.source), within: ample).string == script.hash
            )
            let bad = try await node.evaluate(RedisScript("return nonsense("), keys: [], within: ample).get()
            #expect(bad.error?.code == "ERR")
        }
    }

    @Test
    func `a killed node is found again, as another`() async throws {
        let server = try await TestServers.makeRedis()
        let log = InMemoryLogHandler()
        try await withNode(server.url, logger: Logger(label: "redis") { _ in log }) { (node, states) async throws in
            guard case .connected(let before?)? = await states.next() else {
                Issue.record("not connected")
                return
            }
            #expect(before.version.hasPrefix("7."))
            async let waiting = code { () throws(RedisError) in
                try await node.send(RedisCommand("BLPOP", "none", 0), within: ample)
            }
            await server.kill()
            guard case .lost? = await states.next() else {
                Issue.record("not lost")
                return
            }
            #expect([.connectionLost, .notConnected].contains(await waiting))
            #expect(
                await code { () throws(RedisError) in try await node.send(RedisCommand("PING"), within: ample) }
                    == .notConnected
            )
            try await server.start()
            guard case .connected(let after?)? = await states.next() else {
                Issue.record("not connected again")
                return
            }
            #expect(after.runID != before.runID)
            #expect(try await node.send(RedisCommand("PING"), within: ample) == .simple("PONG"))
            #expect(node.serverInfo == after)
            #expect(
                log.entries.map { "\($0.message)" } == [
                    "Redis node connected", "Redis node lost", "Redis node connected",
                ]
            )
        }
    }

    @Test
    func `a frozen node costs its callers their deadline, and answers the next once it thaws`() async throws {
        let server = try await TestServers.makeRedis()
        try await withNode(server.url) { (node, _) async throws in
            #expect(try await node.send(RedisCommand("PING"), within: ample) == .simple("PONG"))
            server.pause()
            for word in ["a", "b"] {
                #expect(
                    await code { () throws(RedisError) in try await node.send(RedisCommand("ECHO", word), within: brief)
                    } == .deadline
                )
            }
            #expect(node.isConnected)
            async let next = node.send(RedisCommand("ECHO", "c"), within: ample)
            server.resume()
            #expect(try await next.string == "c")
        }
    }

    @Test
    func `a node that is not there is named in the error`() async throws {
        let server = try await TestServers.makeRedis()
        await server.kill()
        try await withNode(server.url) { (node, states) async throws in
            guard case .lost(let error)? = await states.next() else {
                Issue.record("found")
                return
            }
            #expect(
                error.description
                    == "cannot reach node 127.0.0.1:\(server.port) (connection refused)"
            )
            try await server.start()
            guard case .connected? = await states.next() else {
                Issue.record("not found")
                return
            }
            #expect(try await node.send(RedisCommand("PING"), within: ample) == .simple("PONG"))
        }
    }
}
