import Holdfast
import Hummingbird
import Redis
import Redlock

/// What the intake itself sees of the lock nodes.
struct NodeRoutes: Sendable {
    private static let deadline: Duration = .seconds(1)

    let lockNodes: [RedisLockNode]
    let valueNode: ValueNode?

    func add(read: some RouterMethods<IntakeContext>) {
        read.get("v1/nodes") { _, _ in
            let trips = await RedisLockNode.roundTrips(to: lockNodes, within: Self.deadline)
            return JSONResponse.make(
                JSONWriter.object { writer in
                    writer.array("nodes", Array(zip(lockNodes, trips))) { writer, item in
                        let (node, trip) = item
                        writer.object { writer in
                            writer.field("name", node.name)
                            writer.field("connected", node.connection.isConnected)
                            writer.field("quarantined", node.isQuarantined)
                            writer.field("votes", node.mayVote)
                            writer.field("code", node.refusal?.code)
                            writer.field("obstacle", node.obstacle)
                            writer.field("roundTripUs", trip?.microseconds)
                        }
                    }
                    writer.field("valueNode", json: valueNode.map(Self.json))
                    writer.field("voting", lockNodes.count { $0.mayVote })
                    writer.field("quorum", lockNodes.count / 2 + 1)
                }
            )
        }
    }

    private static func json(_ node: ValueNode) -> String {
        let json = JSONWriter.object { writer in
            writer.field("name", node.name)
            writer.field("connected", node.connection.isConnected)
            writer.field("writable", node.obstacle == nil)
            writer.field("code", node.refusal?.code)
            writer.field("obstacle", node.obstacle)
        }
        return String(decoding: json, as: UTF8.self)
    }

    /// The cause that keeps every job waiting, as a JSON object; `nil` when enough nodes may vote.
    func missingQuorum() -> String? {
        let silent = lockNodes.filter { !$0.mayVote }
        guard lockNodes.count - silent.count < lockNodes.count / 2 + 1 else { return nil }
        let names = silent.map { "\($0.name) (\($0.obstacle ?? "votes again"))" }
        let cause = JSONWriter.object { writer in
            writer.field("cause", "no-quorum")
            writer.field(
                "detail",
                "too few lock nodes vote, as this intake sees them; these do not: \(names.joined(separator: ", "))"
            )
        }
        return String(decoding: cause, as: UTF8.self)
    }

    /// The cause that keeps every job waiting whose task writes a value, as a JSON object; `nil` when one can be written.
    func missingValueNode(for kind: String) -> String? {
        guard kind == LockAndSet.kind, let obstacle = valueNode?.obstacle else { return nil }
        let cause = JSONWriter.object { writer in
            writer.field("cause", "value-node")
            writer.field("detail", "no job of its kind is begun, as this intake sees it: \(obstacle)")
        }
        return String(decoding: cause, as: UTF8.self)
    }

    /// Where the lock of a key is held, and for how long if nobody extends it, as the JSON object of a cause.
    ///
    /// `nil` when it is free on a quorum.
    func foreignHold(of key: LockKey) async -> String? {
        let question = RedisCommand("PTTL", RedlockConfiguration().prefix + key.text)
        let replies = await RedisLockNode.ask(lockNodes, question, within: Self.deadline) { $0 }
        let held = zip(lockNodes, replies).compactMap { node, reply -> (name: String, left: Int64?)? in
            guard case .integer(let left)? = reply, left != -2 else { return nil }  // No such lock there.
            return (node.name, left < 0 ? nil : left)
        }
        let heldAtMost = lockNodes.count - (lockNodes.count / 2 + 1)
        guard held.count > heldAtMost else { return nil }
        let places = held.map { "\($0.name) (\($0.left.map { "for \($0) ms" } ?? "without end"))" }
        // So many have to let it go before a quorum can grant it.
        let left = held.map { $0.left ?? .max }.sorted()[held.count - heldAtMost - 1]
        let cause = JSONWriter.object { writer in
            writer.field("cause", "held-on-nodes")
            writer.field("detail", "its lock is held on \(places.joined(separator: ", "))")
            if left < .max { writer.field("leftMs", left) }
        }
        return String(decoding: cause, as: UTF8.self)
    }

}

extension Duration {
    fileprivate var microseconds: Int64 { Int64(self / .microseconds(1)) }
}
