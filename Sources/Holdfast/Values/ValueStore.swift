package import Redis
package import Redlock

/// The values that tasks write, as plain strings under plain keys of the value node.
package struct ValueStore: Sendable {
    package enum WriteResult: Sendable, Equatable {
        case written
        /// A write with a higher fence came first; that fence.
        case refused(highest: Fence)
    }

    /// Where a key's highest fence is kept; keys cannot begin like this.
    package static let fencePrefix = "holdfast:fence:"

    // Compares and sets value and fence at one go. Decimal numbers of one length compare like their texts, so no fence
    // is too large for Lua's numbers. An equal fence is the same attempt's write, sent again.
    private static let fencedWrite = RedisScript(
        """
        local highest = redis.call('get', KEYS[2]) or '0'
        local fence = ARGV[2]
        if #fence < #highest or (#fence == #highest and fence < highest) then return highest end
        redis.call('mset', KEYS[1], ARGV[1], KEYS[2], fence)
        return false
        """
    )

    private let node: RedisNode
    private let deadline: Duration

    package init(node: RedisNode, deadline: Duration = .seconds(2)) {
        self.node = node
        self.deadline = deadline
    }

    /// Writes a value unless a higher fence has written one.
    ///
    /// - Throws: ``RedisError``; the value may have been written, and may be written again with the same fence.
    package func write(_ value: String, to key: LockKey, fence: Fence) async throws(RedisError) -> WriteResult {
        let reply = try await node.evaluate(
            Self.fencedWrite,
            keys: [key.text, Self.fencePrefix + key.text],
            arguments: [value, String(fence.rawValue)],
            within: deadline
        )
        switch reply {
        case .null: return .written
        case .bulk: return .refused(highest: Fence(reply.string.flatMap { Int64($0) } ?? .max))
        default: throw unexpected(reply)
        }
    }

    /// Writes a value at once, with no lock and no fence.
    package func set(_ value: String, at key: LockKey) async throws(RedisError) {
        let reply = try await node.send(RedisCommand("SET", key.text, value), within: deadline)
        guard case .simple = reply else { throw unexpected(reply) }
    }

    /// A key's value; `nil` when it has none.
    package func value(at key: LockKey) async throws(RedisError) -> String? {
        let reply = try await node.send(RedisCommand("GET", key.text), within: deadline)
        switch reply {
        case .null: return nil
        case .bulk: return reply.string
        default: throw unexpected(reply)
        }
    }

    private func unexpected(_ reply: RedisReply) -> RedisError {
        var message = "an answer of an unexpected kind"
        if case .error(let error) = reply { message = error.message }
        return RedisError(.reply, endpoint: node.endpoint.description, message: message)
    }
}
