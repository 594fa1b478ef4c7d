package import Redis
package import Redlock

/// The values that tasks write, as plain strings under plain keys of the value node.
package struct ValueStore: Sendable {
    private let node: RedisNode
    private let deadline: Duration

    package init(node: RedisNode, deadline: Duration = .seconds(2)) {
        self.node = node
        self.deadline = deadline
    }

    /// Writes a value unless a higher fence has written one.
    ///
    /// - Throws: ``RedisError``; the value may have been written, and may be written again with the same fence.
    package func write(_ value: String, to key: LockKey, fence: Fence) async throws(RedisError) -> FencedWrite.Outcome {
        try await FencedWrite(to: node, deadline: deadline).write(value, to: key, fence: fence)
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

    func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        try await node.send(command, within: deadline)
    }

    func unexpected(_ reply: RedisReply) -> RedisError {
        var message = "an answer of an unexpected kind"
        if case .error(let error) = reply { message = error.message }
        return RedisError(.reply, endpoint: node.endpoint.description, message: message)
    }
}
