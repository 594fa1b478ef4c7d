import Holdfast
import Redis
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct FenceTidyingTests {
    private var database: TestDatabase { FreshDatabase.current }

    private func withFences(_ body: (RedisNode, FenceTidying) async throws -> Void) async throws {
        try await TestNodes.with(1) { nodes in
            let node = nodes.nodes[0]
            let values = ValueStore(node: node, deadline: .seconds(50))
            for number in 1...7 {
                let key = try LockKey("k\(number)")
                #expect(try await values.write("v", to: key, fence: Fence(Int64(number))) == .written)
            }
            try await body(node, FenceTidying(node: node, pool: database.pool))
        }
    }

    private func fences(_ node: RedisNode) async throws -> [String] {
        let names = try await node.send(RedisCommand("KEYS", FencedWrite.fencePrefix + "k*"), within: .seconds(30))
        return (names.elements ?? []).compactMap(\.string).map { String($0.suffix(2)) }.sorted()
    }

    @Test
    func `fences go that no unfinished job needs, and that the database has drawn; values stay`() async throws {
        try await database.enqueue("k2")
        _ = try await database.column(
            Int64.self,
            "select holdfast.submit(key => 'k3', value => 'v', run_at => now() + interval '1 day')"
        )
        _ = try await database.column(Int64.self, "select setval('holdfast.fence', 5)")
        try await withFences { node, tidying in
            let dry = try await tidying.run(idleFor: .zero, isDry: true)
            #expect(dry.removed == 5)
            #expect(try await fences(node) == ["k1", "k2", "k3", "k4", "k5", "k6", "k7"])
            let count = try await tidying.run(idleFor: .zero, isDry: false)
            #expect(count.removed == 3 && count.unknown == 2)
            #expect(try await fences(node) == ["k2", "k3", "k6", "k7"])
            #expect(try await ValueStore(node: node).value(at: LockKey("k1")) == "v")
        }
    }

    @Test
    func `a fence that was written lately stays`() async throws {
        _ = try await database.column(Int64.self, "select setval('holdfast.fence', 100)")
        try await withFences { node, tidying in
            let count = try await tidying.run(idleFor: .seconds(3600), isDry: false)
            #expect(count.removed == 0 && count.all >= 7)
            #expect(try await fences(node).count == 7)
        }
    }
}
