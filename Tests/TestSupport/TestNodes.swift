package import LocalStack
package import Redis
package import Redlock

/// Lock nodes of a test's own, and a lock over them.
package struct TestNodes: Sendable {
    package let servers: [RedisServer]
    package let nodes: [RedisNode]
    package let redlock: Redlock

    /// Starts nodes and connects to them while `body` runs; stops them then.
    package static func with<Value: Sendable>(
        _ count: Int,
        options: [String] = [],
        _ body: (TestNodes) async throws -> Value
    ) async throws -> Value {
        var servers: [RedisServer] = []
        for _ in 0..<count { servers.append(try await TestServers.makeRedis(options: options)) }
        let nodes = try servers.map { RedisNode(try RedisEndpoint($0.url), logger: .quiet) }
        let redlock = Redlock(nodes: nodes.map { RedisLockNode($0) }, logger: .quiet)
        // Tasks of their own, so that what a cancelled test gives back is sent; ended and awaited here.
        let connections = nodes.map { node in Task { await node.run() } }
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(TestNodes(servers: servers, nodes: nodes, redlock: redlock)))
        } catch {
            result = .failure(error)
        }
        for connection in connections {
            connection.cancel()
            await connection.value
        }
        for server in servers { await server.stop() }
        return try result.get()
    }
}
