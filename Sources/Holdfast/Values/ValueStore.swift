package import Redis
package import Redlock

/// The values that tasks write, as plain strings under plain keys of the value node.
package struct ValueStore: Sendable {
    /// The most bytes of values that are on their way: an eighth of what a connection takes.
    private static let inFlightBytes = 8 << 20

    private let node: RedisNode
    /// The node, if it is asked again and again whether it can be written to.
    package let watched: ValueNode?
    private let deadline: Duration
    private let inFlight = InFlightBytes(limit: Self.inFlightBytes)

    /// - Parameters:
    ///   - node: Where the values are; nobody looks whether it can be written to.
    ///   - deadline: How long it may take to answer.
    package init(node: RedisNode, deadline: Duration = .seconds(2)) {
        self.node = node
        self.deadline = deadline
        watched = nil
    }

    /// - Parameter node: Where the values are; it is asked again and again whether it can be written to.
    package init(_ node: ValueNode) {
        self.node = node.connection
        deadline = .seconds(2)
        watched = node
    }

    /// Why no value can be written now, in words; `nil` when one can, or nobody looks.
    package var obstacle: String? { watched?.obstacle }

    /// What its node should be told otherwise, in words that name it.
    package var warnings: [String] {
        watched.map { node in node.warnings.map { "value node \(node.name): \($0)" } } ?? []
    }

    /// Writes a value unless a higher fence has written one.
    ///
    /// When too much is on its way already, it waits for that first.
    /// - Throws: ``ValueOutage`` when that is no fault of the key: the value may have been written, and may be written again
    ///   with the same fence. ``RedisError`` when this key cannot be written, as one that holds no string.
    ///   `CancellationError` when the task was cancelled before anything was sent.
    package func write(_ value: String, to key: LockKey, fence: Fence) async throws -> FencedWrite.Outcome {
        let bytes = value.utf8.count + key.text.utf8.count
        if !inFlight.take(bytes) {
            try await inFlight.wait(for: bytes)
            if let obstacle {
                inFlight.leave(bytes)
                throw ValueOutage(description: obstacle)
            }
        }
        defer { inFlight.leave(bytes) }
        do {
            return try await FencedWrite(to: node, deadline: deadline).write(value, to: key, fence: fence)
        } catch {
            throw await isOutage(error) ? ValueOutage(description: error.description) : error
        }
    }

    /// Whether an error is the node's, and not its key's.
    private func isOutage(_ error: RedisError) async -> Bool {
        guard error.code == .reply else { return true }
        let refusal = NodeRefusal(RedisReplyError(error.message))
        // Some errors may be either's, as NOPERM: the node is asked to write something else.
        if !refusal.isOfNode {
            switch await FencedWrite.probe(node) {
            case .done: return false
            case .refused, .none: break
            }
        }
        watched?.refused(refusal)
        return true
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
