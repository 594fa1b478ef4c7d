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
        configuration.ttl = .seconds(30)
        configuration.nodeDeadline = .seconds(3)
        configuration.retryCount = 0
        let redlock = Redlock(nodes: [node], configuration: configuration, logger: logger)
        let key = try LockKey("k")
        try await redlock.whileConnected {
            var hold: Hold?
            while hold == nil { hold = await redlock.tryAcquire(key, token: "t", ttl: .seconds(30)).hold }
            try await repeated(until: .held) { _ = try await redlock.acquire(key) }
            await redlock.release(try #require(hold))
            try await repeated(until: .lost) {
                try await redlock.withLock(key) { _ in
                    _ = try await node.connection.send(RedisCommand("DEL", "locks:k"), within: .seconds(30))
                    try await Task.sleep(for: .seconds(3600))
                }
            }
        }
        await server.stop()
        let nobody = await redlock.tryAcquire(key, token: "t", ttl: .seconds(2))
        #expect(nobody.ending == .noQuorum)
        for outcome in ["granted", "held", "no_quorum"] {
            #expect(try count("holdfast_lock_acquires_total", [("outcome", outcome)]) > 0)
        }
        #expect(try count("holdfast_holds_cancelled_total", [("reason", "lost")]) > 0)
        #expect(hasLogged("Hold lost"))
    }

    /// Does something until it throws this error; on a busy machine it may be that no node answers in time.
    private func repeated(until code: LockError.Code, _ body: () async throws -> Void) async throws {
        while true {
            do {
                try await body()
            } catch let error as LockError where error.code == .noQuorum {
                continue
            } catch let error as LockError {
                return #expect(error.code == code)
            }
        }
    }
}
