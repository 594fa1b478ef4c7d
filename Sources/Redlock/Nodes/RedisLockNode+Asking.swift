package import Redis

extension RedisLockNode {
    /// How long each node takes to answer; `nil` for one that does not.
    package static func roundTrips(to nodes: [RedisLockNode], within deadline: Duration) async -> [Duration?] {
        let start = ContinuousClock.now
        return await ask(nodes, RedisCommand("PING"), within: deadline) { _ in start.duration(to: .now) }
    }

    /// Asks all nodes at once.
    ///
    /// - Parameters:
    ///   - nodes: Those that are not connected are not asked.
    ///   - command: What to ask.
    ///   - deadline: How long any node is waited for.
    ///   - transform: Called as an answer comes.
    /// - Returns: For each, what `transform` made of its answer; `nil` for one that does not answer.
    package static func ask<Value: Sendable>(
        _ nodes: [RedisLockNode],
        _ command: RedisCommand,
        within deadline: Duration,
        _ transform: @escaping @Sendable (RedisReply) -> Value
    ) async -> [Value?] {
        await withTaskGroup(of: (Int, Value?).self) { group in
            for (index, node) in nodes.enumerated() where node.connection.isConnected {
                group.addTask {
                    // What is wrong with a node the log says.
                    let reply = try? await node.connection.send(command, within: deadline)
                    return (index, reply.map(transform))
                }
            }
            var values = [Value?](repeating: nil, count: nodes.count)
            for await (index, value) in group { values[index] = value }
            return values
        }
    }
}
