import Holdfast
import Redis
import Redlock
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ValueStoreTests {
    private func withStore(_ body: (ValueStore, RedisNode) async throws -> Void) async throws {
        try await TestNodes.with(1) { nodes in
            try await body(ValueStore(node: nodes.nodes[0], deadline: .seconds(50)), nodes.nodes[0])
        }
    }

    @Test(
        arguments: [
            (first: 1, second: 2), (first: 9, second: 10), (first: 99, second: 100), (first: 999, second: 1000),
            (first: 12, second: 21), (first: 9_007_199_254_740_992, second: 9_007_199_254_740_993),
            (first: Int64.max - 1, second: Int64.max),
        ] as [(first: Int64, second: Int64)]
    )
    func `a higher fence writes, and the lower one then changes nothing`(first: Int64, second: Int64) async throws {
        let key = try LockKey("k")
        try await withStore { (store, node) async throws in
            #expect(try await store.value(at: key) == nil)
            #expect(try await store.write("first", to: key, fence: Fence(first)) == .written)
            #expect(try await store.value(at: key) == "first")
            #expect(try await store.write("second", to: key, fence: Fence(second)) == .written)
            #expect(try await store.value(at: key) == "second")
            let refused = FencedWrite.Outcome.refused(highest: Fence(second))
            #expect(try await store.write("late", to: key, fence: Fence(first)) == refused)
            #expect(try await store.value(at: key) == "second")
            // The refused write has not moved the fence either.
            #expect(try await store.write("again", to: key, fence: Fence(second)) == .written)
            #expect(try await store.value(at: key) == "again")
        }
    }

    @Test(arguments: ["v", "", "1", "a\r\nb \0 c", "值🔑"])
    func `a value is read by a plain GET, and its fence is kept beside it`(value: String) async throws {
        try await withStore { (store, node) async throws in
            let ample = Duration.seconds(50)
            #expect(try await store.write(value, to: LockKey("鍵 k"), fence: Fence(7)) == .written)
            #expect(try await node.send(RedisCommand("GET", "鍵 k"), within: ample) == .bulk(Array(value.utf8)))
            let fence = try await node.send(RedisCommand("GET", FencedWrite.fencePrefix + "鍵 k"), within: ample)
            #expect(fence.string == "7")
            // Besides the node's own identity.
            #expect(try await node.send(RedisCommand("DBSIZE"), within: ample).int == 3)
        }
    }

    @Test
    func `each key has a fence of its own, and no key is another's fence`() async throws {
        try await withStore { (store, _) async throws in
            #expect(try await store.write("v", to: LockKey("a"), fence: Fence(100)) == .written)
            #expect(try await store.write("v", to: LockKey("b"), fence: Fence(1)) == .written)
        }
        #expect(throws: LockKey.Invalid.self) { try LockKey(FencedWrite.fencePrefix + "a") }
    }

    @Test
    func `a write without a fence leaves the fence in force`() async throws {
        let key = try LockKey("k")
        try await withStore { (store, _) async throws in
            #expect(try await store.write("fenced", to: key, fence: Fence(5)) == .written)
            try await store.set("plain", at: key)
            #expect(try await store.value(at: key) == "plain")
            #expect(try await store.write("late", to: key, fence: Fence(4)) == .refused(highest: Fence(5)))
            #expect(try await store.value(at: key) == "plain")
        }
    }

    @Test
    func `a key that holds no string is an error, and not a value`() async throws {
        let key = try LockKey("k")
        try await withStore { (store, node) async throws in
            _ = try await node.send(RedisCommand("LPUSH", "k", "item"), within: .seconds(50))
            await #expect(throws: RedisError.self) { try await store.value(at: key) }
        }
    }
}
