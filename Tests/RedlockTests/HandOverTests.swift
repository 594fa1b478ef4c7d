import LocalStack
import Redis
import Redlock
import TestSupport
import Testing

/// A hold that is given back while another on the same key is asked for, on real nodes.
@Suite(.timeLimit(.minutes(3)))
struct HandOverTests {
    private let key: LockKey
    /// So long that nothing runs out, however slow the machine is.
    private let ttl = Duration.seconds(3600)
    /// Longer than any answer takes.
    private let ample = Duration.seconds(50)

    init() throws { key = try LockKey("k") }

    /// Three connected nodes, and a lock that waits for all of them.
    private func withNodes(_ body: ([RedisNode], Redlock) async throws -> Void) async throws {
        var configuration = RedlockConfiguration()
        configuration.nodeDeadline = .seconds(30)
        configuration.stragglerGrace = .seconds(30)
        configuration.longestTTL = ttl
        try await TestNodes.with(3, configuration: configuration) { nodes in
            for node in nodes.nodes { _ = try await node.send(RedisCommand("PING"), within: ample) }
            try await body(nodes.nodes, nodes.redlock)
        }
    }

    /// What each node has under the key.
    private func values(_ nodes: [RedisNode]) async throws -> [String?] {
        var values: [String?] = []
        for node in nodes { values.append(try await node.send(RedisCommand("GET", "locks:k"), within: ample).string) }
        return values
    }

    /// How many locks there are on all nodes.
    private func count(_ nodes: [RedisNode]) async throws -> Int64 {
        var count: Int64 = 0
        for node in nodes {
            count += Int64(try await node.send(RedisCommand("KEYS", "locks:*"), within: ample).elements?.count ?? 0)
        }
        return count
    }

    @Test
    func `the old token is gone from all nodes, and the new one is on all of them`() async throws {
        try await withNodes { (nodes, redlock) async throws in
            let hold = try #require(await redlock.tryAcquire(key, token: "old", ttl: ttl).hold)
            let (votes, next) = await redlock.handOver(hold, token: "new", ttl: ttl / 2)
            #expect(votes.map(\.verdict) == [.granted, .granted, .granted])
            let new = try #require(next.hold)
            #expect(new.token == "new" && new.keys == [key] && new.ttl == ttl / 2)
            #expect(new.votes.map(\.verdict) == [.granted, .granted, .granted])
            #expect(try await values(nodes) == ["new", "new", "new"])
            #expect(await redlock.release(hold).map(\.verdict) == [.held, .held, .held])
            #expect(try await redlock.extend(new).votes.map(\.verdict) == [.granted, .granted, .granted])
            #expect(await redlock.release(new).map(\.verdict) == [.granted, .granted, .granted])
            #expect(try await count(nodes) == 0)
        }
    }

    @Test
    func `where a foreign holder has a quorum meanwhile, it is held, and nothing of ours is left`() async throws {
        try await withNodes { (nodes, redlock) async throws in
            let hold = try #require(await redlock.tryAcquire(key, token: "old", ttl: ttl).hold)
            for node in nodes[0...1] {
                _ = try await node.send(RedisCommand("SET", "locks:k", "foreign", "PX", 3_600_000), within: ample)
            }
            let (votes, next) = await redlock.handOver(hold, token: "new", ttl: ttl)
            #expect(votes.map(\.verdict) == [.held, .held, .granted])
            #expect(next.ending == .held)
            #expect(next.votes.map(\.verdict) == [.held, .held, .granted])
            #expect(try await values(nodes) == ["foreign", "foreign", nil])
        }
    }

    /// Of many at once some join what another is about to send.
    @Test(arguments: [1, 200])
    func `cancelled callers leave no lock behind`(number: Int) async throws {
        try await withNodes { (nodes, redlock) async throws in
            var holds: [Hold] = []
            for index in 0..<number {
                holds.append(
                    try #require(await redlock.tryAcquire(try LockKey("k\(index)"), token: "old", ttl: ttl).hold)
                )
            }
            let endings = await withTaskGroup(of: Ending.self) { group in
                group.cancelAll()
                for hold in holds {
                    group.addTask { [ttl] in await redlock.handOver(hold, token: "new", ttl: ttl).next.ending }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(endings == Array(repeating: .noQuorum, count: number))
            #expect(try await count(nodes) == 0)
        }
    }
}
