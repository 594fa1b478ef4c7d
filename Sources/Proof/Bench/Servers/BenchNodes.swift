import LocalStack
import Logging
import Redis
import Redlock

/// Private lock nodes, in a folder that is removed.
struct BenchNodes: Sendable {
    let servers: [RedisServer]
    let nodes: [RedisLockNode]
    let redlock: Redlock

    /// Starts nodes and connects to them while `body` runs, and stops them then.
    static func with<Value: Sendable>(
        _ count: Int,
        options: [String],
        _ body: (BenchNodes) async throws -> Value
    ) async throws -> Value {
        try await withBenchFolder { folder in
            var servers: [RedisServer] = []
            let result: Result<Value, any Error>
            do {
                for number in 1...count {
                    servers.append(try await RedisServer.start(in: "\(folder)/redis-\(number)", options: options))
                }
                result = .success(try await connected(to: servers, body))
            } catch {
                result = .failure(error)
            }
            for server in servers { await server.stop() }
            return try result.get()
        }
    }

    private static func connected<Value: Sendable>(
        to servers: [RedisServer],
        _ body: (BenchNodes) async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "holdfast-bench")
        logger.logLevel = .warning
        var configuration = RedlockConfiguration()
        configuration.retryCount = 0
        // Nobody held a lock on these nodes before they were started.
        configuration.quarantinesRestartedNodes = false
        // Probes would be counted.
        configuration.probeInterval = .seconds(86_400)
        let nodes = try servers.map { [configuration, logger] in
            RedisLockNode(try RedisEndpoint($0.url), configuration: configuration, logger: logger)
        }
        let redlock = Redlock(nodes: nodes, configuration: configuration, logger: logger)
        return try await redlock.whileConnected {
            for node in nodes { _ = try await node.connection.send(RedisCommand("PING"), within: .seconds(10)) }
            return try await body(BenchNodes(servers: servers, nodes: nodes, redlock: redlock))
        }
    }

    /// Commands that all nodes have processed, scripts' own left out.
    func commands() async throws -> Int {
        var count = 0
        for node in nodes {
            let reply = try await node.connection.send(RedisCommand("INFO", "commandstats"), within: .seconds(10))
            for line in (reply.string ?? "").split(whereSeparator: \.isNewline) {
                guard ["cmdstat_set:", "cmdstat_eval:", "cmdstat_evalsha:"].contains(where: line.hasPrefix) else {
                    continue
                }
                // The first of several counts: calls, rejected calls, failed calls.
                let calls = line.split(separator: "calls=").dropFirst().first
                count += calls.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
            }
        }
        return count
    }
}
