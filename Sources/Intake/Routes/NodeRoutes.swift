import Hummingbird
import Redis
import Redlock

/// What the intake itself sees of the lock nodes.
struct NodeRoutes: Sendable {
    private static let deadline: Duration = .seconds(1)

    let lockNodes: [RedisLockNode]

    func add(read: some RouterMethods<IntakeContext>) {
        read.get("v1/nodes") { _, _ in
            let trips = await roundTrips()
            return JSONResponse.make(
                JSONWriter.object { writer in
                    writer.array("nodes", Array(zip(lockNodes, trips))) { writer, item in
                        let (node, trip) = item
                        writer.object { writer in
                            writer.field("name", node.name)
                            writer.field("connected", node.connection.isConnected)
                            writer.field("quarantined", node.connection.isConnected && !node.mayVote)
                            writer.field("roundTripUs", trip?.microseconds)
                        }
                    }
                    writer.field("voting", lockNodes.count { $0.mayVote })
                    writer.field("quorum", lockNodes.count / 2 + 1)
                }
            )
        }
    }

    /// The cause that keeps every job waiting, as a JSON object; `nil` when enough nodes may vote.
    func missingQuorum() -> String? {
        let silent = lockNodes.filter { !$0.mayVote }
        guard lockNodes.count - silent.count < lockNodes.count / 2 + 1 else { return nil }
        let names = silent.map { $0.name + ($0.connection.isConnected ? " (in quarantine)" : " (not connected)") }
        let cause = JSONWriter.object { writer in
            writer.field("cause", "no-quorum")
            writer.field(
                "detail",
                "too few lock nodes vote, as this intake sees them; these do not: \(names.joined(separator: ", "))"
            )
        }
        return String(decoding: cause, as: UTF8.self)
    }

    /// How long each node takes to answer; `nil` for one that does not.
    private func roundTrips() async -> [Duration?] {
        await withTaskGroup(of: (Int, Duration?).self) { group in
            for (index, node) in lockNodes.enumerated() where node.connection.isConnected {
                group.addTask {
                    let start = ContinuousClock.now
                    do {
                        _ = try await node.connection.send(RedisCommand("PING"), within: Self.deadline)
                    } catch {
                        return (index, nil)  // What is wrong with it the log says.
                    }
                    return (index, start.duration(to: .now))
                }
            }
            var trips = [Duration?](repeating: nil, count: lockNodes.count)
            for await (index, trip) in group { trips[index] = trip }
            return trips
        }
    }
}

extension Duration {
    fileprivate var microseconds: Int64 { Int64(self / .microseconds(1)) }
}
