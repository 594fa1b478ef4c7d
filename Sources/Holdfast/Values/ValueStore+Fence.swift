package import Redis
package import Redlock

extension ValueStore {
    /// A key's value, and the highest fence that has written it; `nil` where there is none.
    package func valueAndFence(at key: LockKey) async throws(RedisError) -> (value: String?, fence: Fence?) {
        let reply = try await send(RedisCommand("MGET", key.text, FencedWrite.fencePrefix + key.text))
        guard case .array(let items) = reply, items.count == 2 else { throw unexpected(reply) }
        return (items[0].string, items[1].string.flatMap { Int64($0) }.map(Fence.init))
    }
}
