import LocalStack
import Redis
import Redlock
import TestSupport
import Testing

/// A real lock node whose machine's wall clock steps.
@Suite(.timeLimit(.minutes(3)))
struct ClockStepTests {
    private let ttl = Duration.seconds(60)
    /// Longer than any answer takes.
    private let ample = Duration.seconds(30)

    @Test func `a clock that steps forward ends a lock on its node early, and the others keep a second client out`()
        async throws
    {
        let key = try LockKey("k")
        let clock = try TestServers.makeClock()
        var servers: [RedisServer] = []
        for environment in [[:], [:], clock.environment] {
            servers.append(try await TestServers.makeRedis(environment: environment))
        }
        var configuration = RedlockConfiguration()
        configuration.nodeDeadline = ample
        configuration.stragglerGrace = ample
        configuration.quarantinesRestartedNodes = false
        let nodes = try servers.map {
            RedisLockNode(try RedisEndpoint($0.url), configuration: configuration, logger: .quiet)
        }
        let redlock = Redlock(nodes: nodes, configuration: configuration, logger: .quiet)
        try await redlock.whileConnected {
            for node in nodes { _ = try await node.connection.send(RedisCommand("PING"), within: ample) }
            let hold = try #require(await redlock.tryAcquire(key, token: "first", ttl: ttl).hold)
            #expect(hold.votes.map(\.verdict) == [.granted, .granted, .granted])

            clock.set(ahead: ttl * 2)
            let left = try await nodes[2].connection.send(RedisCommand("GET", "locks:k"), within: ample)
            #expect(left == .null, "its lock has ended there")
            let second = await redlock.tryAcquire(key, token: "second", ttl: ttl)
            #expect(second.ending != .granted)
            #expect(second.votes.map(\.verdict) == [.held, .held, .granted])

            let extended = try await redlock.extend(hold)
            #expect(extended.votes[0...1].map(\.verdict) == [.granted, .granted])
            #expect(extended.votes[2].verdict != .granted)
            #expect(extended.validUntil > hold.validUntil)

            // Back again: a lock from the time ahead lasts longer on that node, until it is released.
            await redlock.release(extended)
            let ahead = try #require(await redlock.tryAcquire(key, token: "third", ttl: ttl).hold)
            clock.set(ahead: .zero)
            #expect(await redlock.tryAcquire(key, token: "fourth", ttl: ttl).ending != .granted)
            #expect(await redlock.release(ahead).map(\.verdict) == [.granted, .granted, .granted])
            #expect(await redlock.tryAcquire(key, token: "fifth", ttl: ttl).ending == .granted)
        }
        for server in servers { await server.stop() }
    }
}
