package import LocalStack
package import Redis
package import Redlock

/// Lock nodes of a test's own, and a lock over them.
package struct TestNodes: Sendable {
    package let servers: [RedisServer]
    package let lockNodes: [RedisLockNode]
    package let redlock: Redlock

    package var nodes: [RedisNode] { lockNodes.map(\.connection) }

    /// Starts nodes and connects to them while `body` runs; stops them then.
    package static func with<Value: Sendable>(
        _ count: Int,
        options: [String] = RedisServer.persistent,
        configuration: RedlockConfiguration = RedlockConfiguration(),
        _ body: (TestNodes) async throws -> Value
    ) async throws -> Value {
        var servers: [RedisServer] = []
        for _ in 0..<count { servers.append(try await TestServers.makeRedis(options: options)) }
        let lockNodes = try servers.map { server in
            RedisLockNode(try RedisEndpoint(server.url), configuration: configuration, logger: .quiet)
        }
        let redlock = Redlock(nodes: lockNodes, configuration: configuration, logger: .quiet)
        let result: Result<Value, any Error>
        do {
            result = .success(
                try await redlock.whileConnected {
                    try await body(TestNodes(servers: servers, lockNodes: lockNodes, redlock: redlock))
                }
            )
        } catch {
            result = .failure(error)
        }
        for server in servers { await server.stop() }
        return try result.get()
    }
}
