import Foundation
import LocalStack
import Redis
import Redlock
import TestSupport
import Testing

/// Redlock clients of other languages, and plain commands, on the same nodes.
///
/// They need Python with two packages from PyPI, which `deploy/test` installs into `.build/python`.
@Suite(.timeLimit(.minutes(5)))
struct ForeignClientsTests {
    struct Foreign: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let prefix: String
        /// Python: makes `acquire()`, which returns something true when the lock is had, and `release(it)`.
        let program: String
    }

    static let clients = [
        Foreign(
            testDescription: "redlock-ng",
            prefix: "",
            program: """
                from redlock import Redlock
                client = Redlock(urls, retry_count=1, retry_delay_min=0.001, retry_delay_max=0.002)
                acquire = lambda: client.acquire(key, 10000)
                release = lambda held: client.release(held)
                """
        ),
        Foreign(
            testDescription: "pottery",
            prefix: "redlock:",
            program: """
                from pottery import Redlock
                def acquire():
                    held = Redlock(key=key, masters=set(nodes), auto_release_time=10)
                    return held if held.acquire(blocking=False) else None
                release = lambda held: held.release()
                """
        ),
        Foreign(
            testDescription: "SET NX PX on each node",
            prefix: "locks:",
            program: """
                import uuid
                script = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
                def release(token):
                    for node in nodes: node.eval(script, 1, 'locks:' + key, token)
                def acquire():
                    token = uuid.uuid4().hex
                    if sum(1 for node in nodes if node.set('locks:' + key, token, nx=True, px=10000)) >= 2: return token
                    release(token)
                """
        ),
    ]

    /// Holds the lock again and again; while it does, nobody else may be inside.
    private static func source(_ foreign: Foreign, _ urls: [String], rounds: Int) -> String {
        """
        import random, time, redis
        urls, key = \(urls), 'contended'
        nodes = [redis.Redis.from_url(url) for url in urls]
        \(foreign.program)
        done = 0
        while done < \(rounds):
            held = acquire()
            if not held:
                time.sleep(random.uniform(0.001, 0.004))
                continue
            if nodes[0].incr('inside') != 1: nodes[0].incr('violations')
            nodes[0].decr('inside')
            release(held)
            done += 1
            time.sleep(random.uniform(0, 0.002))
        """
    }

    private static func python() throws -> URL {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = package.appending(path: ".build/python/bin/python")
        try #require(
            FileManager.default.isExecutableFile(atPath: python.path),
            "\(python.path) is missing; deploy/test installs it"
        )
        return python
    }

    @Test(arguments: clients)
    func `they and we exclude each other`(foreign: Foreign) async throws {
        let rounds = 200
        var configuration = RedlockConfiguration()
        configuration.prefix = foreign.prefix
        configuration.retryDelay = .milliseconds(1)
        configuration.retryJitter = .milliseconds(3)
        let python = try Self.python()
        try await TestNodes.with(3, options: [], configuration: configuration.withoutQuarantine) { nodes in
            for node in nodes.nodes { _ = try await node.send(RedisCommand("PING"), within: .seconds(30)) }
            let folder = TestServers.makeFolder("foreign")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            _ = FileManager.default.createFile(atPath: "\(folder)/output", contents: nil)
            let output = try #require(FileHandle(forWritingAtPath: "\(folder)/output"))
            let source = Self.source(foreign, nodes.servers.map(\.url), rounds: rounds)
            let process = try LocalProcess(python, ["-c", source], output: output)
            let key = try LockKey("contended")
            let counter = nodes.nodes[0]
            for _ in 0..<rounds {
                try await nodes.redlock.withLock(key) { _ in
                    if try await counter.send(RedisCommand("INCR", "inside"), within: .seconds(30)).int != 1 {
                        _ = try await counter.send(RedisCommand("INCR", "violations"), within: .seconds(30))
                    }
                    _ = try await counter.send(RedisCommand("DECR", "inside"), within: .seconds(30))
                }
            }
            await process.waitForExit()
            let printed = FileManager.default.contents(atPath: "\(folder)/output").map {
                String(decoding: $0, as: UTF8.self)
            }
            #expect(process.exitStatus == 0, "\(printed ?? "")")
            #expect(try await counter.send(RedisCommand("GET", "inside"), within: .seconds(30)).int == 0)
            #expect(try await counter.send(RedisCommand("GET", "violations"), within: .seconds(30)) == .null)
        }
    }
}

extension RedlockConfiguration {
    /// For nodes on which nobody held a lock before they were started.
    fileprivate var withoutQuarantine: RedlockConfiguration {
        var configuration = self
        configuration.quarantinesRestartedNodes = false
        return configuration
    }
}
