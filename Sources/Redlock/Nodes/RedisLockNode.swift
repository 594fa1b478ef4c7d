package import Redis

/// A Redis node that votes on locks.
package struct RedisLockNode: LockNode {
    // Removes the lock if the caller's token is still under it.
    private static let releaseScript = RedisScript(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    )
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
        await evaluate(Self.extendScript, lock, [token, String(ttl.milliseconds)], within: deadline)
    }

    package func release(_ lock: String, token: String, within deadline: Duration) async -> Vote.Verdict {
        await evaluate(Self.releaseScript, lock, [token], within: deadline)
    }

    private func evaluate(
        _ script: RedisScript,
        _ lock: String,
        _ arguments: [String],
        within deadline: Duration
    ) async -> Vote.Verdict {
        do throws(RedisError) {
            return switch try await node.evaluate(script, keys: [lock], arguments: arguments, within: deadline) {
            case .integer(1): .granted
            case .integer: .held
            default: .unreachable
            }
        } catch {
            return Self.verdict(error)
        }
    }

    private static func verdict(_ error: RedisError) -> Vote.Verdict {
        switch error.code {
        case .deadline, .cancelled: .late
        default: .unreachable
        }
    }
}
