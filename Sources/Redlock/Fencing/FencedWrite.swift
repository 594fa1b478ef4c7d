public import Logging
import PlantedBugs
package import Redis

/// Writes values to a Redis node, each with a fence: a holder whose time is over changes nothing.
///
/// Value and fence are compared and set in one script. The value is a plain string under the plain key, so that `GET` works
/// for anyone; the highest fence is beside it, under a prefix that keys do not begin with.
public struct FencedWrite: Sendable {
    /// What became of a write.
    public enum Outcome: Sendable, Equatable {
        /// It took effect.
        case written
        /// A write with a higher fence came first; that fence.
        case refused(highest: Fence)
    }

    /// Where a key's highest fence is kept; keys cannot begin like this.
    public static let fencePrefix = "holdfast:fence:"

    // Decimal numbers of one length compare like their texts, so no fence is too large for Lua's numbers. An equal fence is
    // the same holder's write, sent again.
    private static let script = RedisScript(
        """
        local highest = redis.call('get', KEYS[2]) or '0'
        local fence = ARGV[2]
        if #fence < #highest or (#fence == #highest and fence < highest) then return highest end
        redis.call('mset', KEYS[1], ARGV[1], KEYS[2], fence)
        return false
        """
        .planting(.writeWithoutFence, "then return highest end", "then end")
    )

    private let node: RedisNode
    private let deadline: Duration

    /// Makes a writer to a node that is not connected yet: see ``run()``.
    ///
    /// - Parameters:
    ///   - url: The node, as in `redis://:password@host:6379`; it may be one of the lock nodes, or another.
    ///   - deadline: How long one write may take.
    ///   - logger: For what an operator should know of the connection.
    /// - Throws: ``NodeError`` when the URL names no node.
    public init(
        to url: String,
        deadline: Duration = .seconds(2),
        logger: Logger = Logger(label: "redlock")
    ) throws(NodeError) {
        self.init(to: RedisNode(try NodeError.endpoint(url), logger: logger), deadline: deadline)
    }

    package init(to node: RedisNode, deadline: Duration = .seconds(2)) {
        self.node = node
        self.deadline = deadline
    }

    /// Connects, and connects again whenever the connection is lost, until the task is cancelled.
    public func run() async { await node.run() }

    /// Writes a value under a hold.
    ///
    /// - Parameters:
    ///   - value: What to write.
    ///   - key: A key that the hold is on; its highest fence decides.
    ///   - hold: A hold with a fence.
    /// - Throws: ``LockError`` with code `refused` when a higher fence has written, or `invalid` when the hold has no fence
    ///   or is not on the key; ``NodeError`` when the node did not answer: the value may have been written then, and may
    ///   be written again under the same hold.
    public func write(_ value: String, to key: LockKey, under hold: Hold) async throws {
        guard hold.keys.contains(key) else {
            throw LockError(.invalid, keys: hold.keys, detail: "the hold is not on \(key)")
        }
        guard let fence = hold.fence else {
            throw LockError(.invalid, keys: hold.keys, detail: "the hold has no fence: give its Redlock a FenceSource")
        }
        let outcome: Outcome
        do {
            outcome = try await write(value, to: key, fence: fence)
        } catch {
            throw NodeError(error)
        }
        if case .refused(let highest) = outcome {
            throw LockError(.refused, keys: [key], detail: "fence \(fence) is stale, \(highest) has written")
        }
    }

    /// Writes a value unless a higher fence has written one.
    ///
    /// A caller that is cancelled waits all the same: a write that is under way when its hold is lost may be refused, and
    /// that is to be known.
    ///
    /// - Throws: ``RedisError``; the value may have been written, and may be written again with the same fence.
    package func write(_ value: String, to key: LockKey, fence: Fence) async throws(RedisError) -> Outcome {
        try outcome(
            await node.evaluate(
                Self.script,
                keys: [key.text, Self.fencePrefix + key.text],
                arguments: [value, String(fence.rawValue)],
                within: deadline
            )
        )
    }

    /// Asks a node to do what a write asks of it, on a key of nobody's.
    package static func probe(_ node: RedisNode) async -> NodeProbe.Answer {
        let name = fencePrefix + "holdfast:probe"
        let result = await node.evaluate(
            script,
            keys: [name, name],
            // No number, so that nobody takes it for a fence.
            arguments: ["probe", "probe"],
            within: NodeProbe.deadline
        )
        guard case .success(let reply) = result else { return .none }
        return reply.error.map { .refused(NodeRefusal($0)) } ?? .done
    }

    // Not inlined, or its temporaries would stay in the memory of each task that has written.
    @inline(never)
    private func outcome(_ result: Result<RedisReply, RedisError>) throws(RedisError) -> Outcome {
        let reply = try result.get()
        switch reply {
        case .null: return .written
        case .bulk: return .refused(highest: Fence(reply.string.flatMap { Int64($0) } ?? .max))
        case .error(let error): throw RedisError(.reply, endpoint: node.endpoint.description, message: error.message)
        default:
            throw RedisError(.reply, endpoint: node.endpoint.description, message: "an answer of an unexpected kind")
        }
    }
}
