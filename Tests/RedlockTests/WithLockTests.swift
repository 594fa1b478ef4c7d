import Redis
import Redlock
import Synchronization
import TestSupport
import Testing

/// The library as its users have it, on real nodes.
@Suite(.timeLimit(.minutes(3)))
struct WithLockTests {
    private struct Failure: Error {}

    private final class Counter: FenceSource {
        private let last = Atomic<Int64>(0)
        func next() async throws -> Fence { Fence(last.add(1, ordering: .relaxed).newValue) }
    }

    private var brief: RedlockConfiguration {
        var configuration = RedlockConfiguration()
        configuration.nodeDeadline = .seconds(2)
        configuration.stragglerGrace = .seconds(2)
        configuration.retryDelay = .milliseconds(5)
        configuration.retryJitter = .milliseconds(5)
        return configuration
    }

    private func withNodes(
        _ configuration: RedlockConfiguration,
        _ body: (TestNodes) async throws -> Void
    ) async throws {
        try await TestNodes.with(3, configuration: configuration) { nodes in
            for node in nodes.nodes { _ = try await node.send(RedisCommand("PING"), within: .seconds(30)) }
            try await body(nodes)
        }
    }

    private func lockCounts(_ nodes: TestNodes) async throws -> [Int64] {
        var counts: [Int64] = []
        for node in nodes.nodes {
            let locks = try await node.send(RedisCommand("KEYS", "locks:*"), within: .seconds(30)).elements
            counts.append(Int64(locks?.count ?? -1))
        }
        return counts
    }

    @Test
    func `of many who want one lock each has it alone, and in the end`() async throws {
        try await withNodes(brief) { (nodes) async throws in
            let key = try LockKey("k")
            let inside = Mutexed(0)
            let most = Mutexed(0)
            let done = Mutexed(0)
            try await withThrowingDiscardingTaskGroup { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await nodes.redlock.withLock(key) { _ in
                            let count = inside.withLock { count in
                                count += 1
                                return count
                            }
                            most.withLock { $0 = max($0, count) }
                            await Task.yield()
                            inside.withLock { $0 -= 1 }
                        }
                        done.withLock { $0 += 1 }
                    }
                }
            }
            #expect(done.value == 20)
            #expect(most.value == 1)
            #expect(try await lockCounts(nodes) == [0, 0, 0])
        }
    }

    @Test
    func `several keys are locked together or not at all, whatever their order`() async throws {
        var configuration = brief
        configuration.retryCount = 0
        try await withNodes(configuration) { (nodes) async throws in
            let (a, b, c) = (try LockKey("a"), try LockKey("b"), try LockKey("c"))
            let hold = try await nodes.redlock.acquire([b, a, b])
            #expect(hold.keys == [a, b])
            #expect(try await lockCounts(nodes) == [2, 2, 2])
            let error = await #expect(throws: LockError.self) { try await nodes.redlock.acquire([c, b]) }
            #expect(error?.code == .held)
            #expect(error?.keys == [b, c])
            #expect(try await lockCounts(nodes) == [2, 2, 2])
            let extended = try await nodes.redlock.extend(hold)
            #expect(extended.votes.map(\.verdict) == [.granted, .granted, .granted])
            #expect(await nodes.redlock.release(extended).map(\.verdict) == [.granted, .granted, .granted])
            #expect(try await lockCounts(nodes) == [0, 0, 0])
        }
    }

    @Test
    func `a hold on several keys is lost when one of them is gone`() async throws {
        try await withNodes(brief) { (nodes) async throws in
            let hold = try await nodes.redlock.acquire([try LockKey("a"), try LockKey("b")])
            for node in nodes.nodes[0...1] {
                _ = try await node.send(RedisCommand("DEL", "locks:b"), within: .seconds(30))
            }
            let error = await #expect(throws: LockError.self) { try await nodes.redlock.extend(hold) }
            #expect(error?.code == .lost)
            #expect(error?.votes.map(\.verdict) == [.held, .held, .granted])
            await nodes.redlock.release(hold)
            #expect(try await lockCounts(nodes) == [0, 0, 0])
        }
    }

    @Test
    func `the body's error is thrown, and the lock is free again`() async throws {
        try await withNodes(brief) { (nodes) async throws in
            let key = try LockKey("k")
            await #expect(throws: Failure.self) { try await nodes.redlock.withLock(key) { _ in throw Failure() } }
            #expect(try await lockCounts(nodes) == [0, 0, 0])
        }
    }

    @Test
    func `a caller that is cancelled while it waits leaves nothing locked of its own`() async throws {
        try await withNodes(brief) { (nodes) async throws in
            let key = try LockKey("k")
            let hold = try await nodes.redlock.acquire(key)
            let waiting = Task { try await nodes.redlock.acquire(key) }
            for _ in 0..<1000 { await Task.yield() }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            await nodes.redlock.release(hold)
            #expect(try await lockCounts(nodes) == [0, 0, 0])
        }
    }

    @Test
    func `a deleted lock ends the work under it`() async throws {
        var configuration = brief
        configuration.ttl = .seconds(3)
        try await withNodes(configuration) { (nodes) async throws in
            let key = try LockKey("k")
            let error = await #expect(throws: LockError.self) {
                try await nodes.redlock.withLock(key) { _ in
                    for node in nodes.nodes {
                        _ = try await node.send(RedisCommand("DEL", "locks:k"), within: .seconds(30))
                    }
                    try await Task.sleep(for: .seconds(3600))
                }
            }
            #expect(error?.code == .lost)
        }
    }

    @Test
    func `what is out of bounds is refused, and the error says why`() async throws {
        let redlock = try Redlock(nodes: ["redis://127.0.0.1:1"], logger: .quiet)
        let keys = try (0...Redlock.maximumKeys).map { try LockKey("k\($0)") }
        for attempt in [(keys, nil), ([], nil), ([keys[0]], .seconds(61)), ([keys[0]], .milliseconds(9))]
            as [([LockKey], Duration?)]
        {
            let error = await #expect(throws: LockError.self) { try await redlock.acquire(attempt.0, ttl: attempt.1) }
            #expect(error?.code == .invalid)
        }
    }

    @Test(arguments: [[], ["redis://a", "redis://b"], ["redis://a", "redis://b", "redis://a:6379"], ["http://a"]])
    func `nodes that make no quorum are refused`(urls: [String]) {
        #expect(throws: NodeError.self) { try Redlock(nodes: urls, logger: .quiet) }
    }

    @Test
    func `a lock is to be had when the scripts were flushed`() async throws {
        try await withNodes(brief) { (nodes) async throws in
            for node in nodes.nodes { _ = try await node.send(RedisCommand("SCRIPT", "FLUSH"), within: .seconds(30)) }
            let hold = try await nodes.redlock.acquire([try LockKey("a"), try LockKey("b")])
            #expect(hold.votes.map(\.verdict) == [.granted, .granted, .granted])
            for node in nodes.nodes { _ = try await node.send(RedisCommand("SCRIPT", "FLUSH"), within: .seconds(30)) }
            #expect(await nodes.redlock.release(hold).map(\.verdict) == [.granted, .granted, .granted])
            #expect(try await lockCounts(nodes) == [0, 0, 0])
        }
    }

    @Test
    func `a write under an older hold changes nothing once a younger one has written`() async throws {
        try await withNodes(brief) { (nodes) async throws in
            let redlock = Redlock(nodes: nodes.lockNodes, configuration: brief, fences: Counter(), logger: .quiet)
            let key = try LockKey("k")
            let write = FencedWrite(to: nodes.nodes[0])
            let old = try await redlock.acquire(key)
            await redlock.release(old)
            let young = try await redlock.acquire(key)
            #expect(old.fence.map { $0.rawValue } == 1)
            #expect(young.fence.map { $0.rawValue } == 2)
            try await write.write("young", to: key, under: young)
            let error = await #expect(throws: LockError.self) { try await write.write("old", to: key, under: old) }
            #expect(error?.code == .refused)
            #expect(try await nodes.nodes[0].send(RedisCommand("GET", "k"), within: .seconds(30)).string == "young")
            await redlock.release(young)
        }
    }
}
