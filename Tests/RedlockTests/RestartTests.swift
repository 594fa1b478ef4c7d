import LocalStack
import Redis
import Redlock
import TestSupport
import Testing

/// Nodes that are restarted while a lock is held.
@Suite(.timeLimit(.minutes(3)))
struct RestartTests {
    private let key: LockKey
    private let ttl = Duration.seconds(30)

    init() throws { key = try LockKey("k") }

    /// How a second client fares after a restart.
    ///
    /// A first client has the lock on nodes 0 and 1, while node 2 is down; node 1 is restarted, and node 2 is back.
    private func secondAcquisition(
        options: [String],
        quarantine: Bool,
        emptied: Bool = false
    ) async throws -> (first: [Vote.Verdict], second: Acquisition) {
        var configuration = RedlockConfiguration()
        configuration.nodeDeadline = .seconds(3)
        configuration.stragglerGrace = .seconds(3)
        configuration.longestTTL = ttl
        // The nodes are new: what is tested is a restart that is seen, from a state in which all vote.
        configuration.quarantinesRestartedNodes = false
        return try await TestNodes.with(3, options: options, configuration: configuration) { first in
            for node in first.nodes { _ = try await node.send(RedisCommand("PING"), within: .seconds(30)) }
            await first.servers[2].kill()
            while first.nodes[2].isConnected { await Task.yield() }
            let hold = try #require(await first.redlock.tryAcquire(key, token: "first", ttl: ttl).hold)
            await first.servers[1].kill()
            if emptied { try first.servers[1].removeData() }
            try await first.servers[1].start()
            try await first.servers[2].start()
            configuration.quarantinesRestartedNodes = quarantine
            let nodes = try first.servers.map {
                RedisLockNode(try RedisEndpoint($0.url), configuration: configuration, logger: .quiet)
            }
            let second = Redlock(nodes: nodes, configuration: configuration, logger: .quiet)
            let acquisition = try await second.whileConnected {
                for node in nodes { _ = try await node.connection.send(RedisCommand("PING"), within: .seconds(30)) }
                return await second.tryAcquire(key, token: "second", ttl: ttl)
            }
            return (hold.votes.map(\.verdict), acquisition)
        }
    }

    @Test
    func `a voter that was restarted without its data does not help a second client to the lock`() async throws {
        let (first, second) = try await secondAcquisition(options: [], quarantine: true)
        #expect(first == [.granted, .granted, .unreachable])
        #expect(second.ending != .granted)
        #expect(second.votes[1].verdict == .quarantined)
        #expect(second.votes[2].verdict == .quarantined)
    }

    @Test
    func `without the quarantine there would be two holders`() async throws {
        let (first, second) = try await secondAcquisition(options: [], quarantine: false)
        #expect(first == [.granted, .granted, .unreachable])
        #expect(second.votes.map(\.verdict) == [.held, .granted, .granted])
        #expect(second.ending == .granted)
    }

    @Test
    func `a voter that persists every write votes at once after a restart, and remembers the lock`() async throws {
        let (first, second) = try await secondAcquisition(options: RedisServer.persistent, quarantine: true)
        #expect(first == [.granted, .granted, .unreachable])
        #expect(second.votes.map(\.verdict) == [.held, .held, .granted])
        #expect(second.ending == .held)
    }

    @Test
    func `a voter that persists every write and was emptied does not help a second client to the lock`() async throws {
        let (first, second) = try await secondAcquisition(
            options: RedisServer.persistent,
            quarantine: true,
            emptied: true
        )
        #expect(first == [.granted, .granted, .unreachable])
        #expect(second.ending != .granted)
        #expect(second.votes.map(\.verdict) == [.held, .quarantined, .granted])
    }

    @Test
    func `a node votes again once the longest TTL has passed since its restart`() async throws {
        var configuration = RedlockConfiguration()
        configuration.longestTTL = .seconds(1)
        configuration.ttl = .seconds(1)
        try await TestNodes.with(1, options: [], configuration: configuration) { nodes in
            // It was started a moment ago, and waits; acquire goes on until it is let in.
            let hold = try await nodes.redlock.acquire(key)
            #expect(hold.votes.map(\.verdict) == [.granted])
            await nodes.redlock.release(hold)
        }
    }
}
