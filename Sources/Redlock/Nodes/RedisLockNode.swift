package import Redis

/// A Redis node that votes on locks.
package struct RedisLockNode: LockNode {
    // Removes the lock if the caller's token is still under it.
    private static let releaseSource =
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    // Gives the lock a new time to live if the caller's token is still under it.
    private static let extendScript = RedisScript(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
    )

    private let node: RedisNode

    package init(_ node: RedisNode) { self.node = node }

    package var name: String { node.endpoint.description }
    package var isConnected: Bool { node.isConnected }

    package func acquire(
        _ lock: String,
        token: String,
        ttl: Duration,
        within deadline: Duration
    ) async -> Vote.Verdict {
        do throws(RedisError) {
            let reply = try await node.send(
                RedisCommand("SET", lock, token, "NX", "PX", String(ttl.milliseconds)),
                within: deadline
            )
            return switch reply {
            case .simple("OK"): .granted
            case .null: .held
            // An error reply, such as a read-only replica's: the node takes no part.
            default: .unreachable
            }
        } catch {
            return Self.verdict(error)
        }
    }

    package func extend(
        _ lock: String,
        token: String,
        ttl: Duration,
        within deadline: Duration
    ) async -> Vote.Verdict {
        do throws(RedisError) {
            return Self.verdict(
                try await node.evaluate(
                    Self.extendScript,
                    keys: [lock],
                    arguments: [token, String(ttl.milliseconds)],
                    within: deadline
                )
            )
        } catch {
            return Self.verdict(error)
        }
    }

    /// Sends the script itself, not its hash: one that is sent takes effect although nobody waits for it any more, and a
    /// node that did not know the hash would have to be asked twice.
    package func release(_ lock: String, token: String, within deadline: Duration) async -> Vote.Verdict {
        do throws(RedisError) {
            return Self.verdict(
                try await node.send(RedisCommand("EVAL", Self.releaseSource, 1, lock, token), within: deadline)
            )
        } catch {
            return Self.verdict(error)
        }
    }

    private static func verdict(_ reply: RedisReply) -> Vote.Verdict {
        switch reply {
        case .integer(1): .granted
        case .integer: .held
        default: .unreachable
        }
    }

    private static func verdict(_ error: RedisError) -> Vote.Verdict {
        switch error.code {
        case .deadline, .cancelled: .late
        default: .unreachable
        }
    }
}
