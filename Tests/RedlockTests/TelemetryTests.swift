import CoreMetrics
import InMemoryLogging
import LocalStack
import Logging
import MetricsTestKit
import Redis
import Redlock
import TestSupport
import Testing

/// What an operator sees of trouble: a count, and a line in the log.
@Suite(.timeLimit(.minutes(3)))
struct TelemetryTests {
    /// Process-wide, as metrics are: other tests count here, too, so what counts is that there is something.
    private static let metrics = {
        let metrics = TestMetrics()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }()

    private let log = InMemoryLogHandler()
    private var logger: Logger { Logger(label: "test") { _ in log } }

    private func count(_ label: String, _ dimensions: [(String, String)]) throws -> Int64 {
        try Self.metrics.expectCounter(label, dimensions).totalValue
    }

    private func hasLogged(_ message: String) -> Bool { log.entries.contains { "\($0.message)" == message } }

    @Test
    func `quarantine, loss and reconnection of a node are counted and logged`() async throws {
        _ = Self.metrics
        let server = try await TestServers.makeRedis()
        let node = RedisLockNode(try RedisEndpoint(server.url), logger: logger)
        let redlock = Redlock(nodes: [node], logger: logger)
        let dimension = [("node", node.name)]
        try await redlock.whileConnected {
            _ = try await node.connection.send(RedisCommand("PING"), within: .seconds(30))
            let acquisition = await redlock.tryAcquire(try LockKey("k"), token: "t", ttl: .seconds(20))
            #expect(acquisition.votes.map(\.verdict) == [.quarantined])
            #expect(!redlock.hasQuorum)
            #expect(try count("holdfast_lock_votes_total", dimension + [("verdict", "quarantined")]) > 0)
            #expect(try Self.metrics.expectGauge("holdfast_lock_node_quarantined", dimension).lastValue == 1)
            #expect(hasLogged("Lock node may have forgotten locks, and has no vote"))
            await server.kill()
            while node.connection.isConnected { await Task.yield() }
            try await server.start()
            while !node.connection.isConnected { await Task.yield() }
        }
        #expect(try count("holdfast_lock_node_losses_total", dimension) > 0)
        #expect(try count("holdfast_lock_node_connections_total", dimension) == 2)
        #expect(hasLogged("Redis node lost"))
        await server.stop()
    }

    @Test
    func `contention, a lack of a quorum and a lost hold are counted, and the loss is logged`() async throws {
        _ = Self.metrics
        let server = try await TestServers.makeRedis(options: RedisServer.persistent)
        let node = RedisLockNode(try RedisEndpoint(server.url), logger: logger)
        var configuration = RedlockConfiguration()
        // A node of a busy machine answers within 3 s.
        configuration.ttl = .seconds(30)
        configuration.nodeDeadline = .seconds(3)
        configuration.retryCount = 0
        let redlock = Redlock(nodes: [node], configuration: configuration, logger: logger)
        let key = try LockKey("k")
        let held = try await redlock.whileConnected {
            let hold = try await redlock.acquire(key)
            let error = await #expect(throws: LockError.self) { try await redlock.acquire(key) }
            await redlock.release(hold)
            let loss = await #expect(throws: LockError.self) {
                try await redlock.withLock(key) { _ in
                    _ = try await node.connection.send(RedisCommand("DEL", "locks:k"), within: .seconds(30))
                    try await Task.sleep(for: .seconds(3600))
                }
            }
            #expect(loss?.code == .lost)
            return error?.code
        }
        #expect(held == .held)
        await server.stop()
        let nobody = await redlock.tryAcquire(key, token: "t", ttl: .seconds(2))
        #expect(nobody.ending == .noQuorum)
        for outcome in ["granted", "held", "no_quorum"] {
            #expect(try count("holdfast_lock_acquires_total", [("outcome", outcome)]) > 0)
        }
        #expect(try count("holdfast_holds_cancelled_total", [("reason", "lost")]) > 0)
        #expect(hasLogged("Hold lost"))
    }
}
