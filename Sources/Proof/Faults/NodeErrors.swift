import LocalStack
import Redis

/// How a Redis node is made to answer writes with an error, and is healed.
enum NodeErrors: CaseIterable, Sendable {
    /// READONLY: it has become a replica.
    case readOnly
    /// NOREPLICAS: too few replicas have what it has.
    case noReplicas
    /// OOM: its memory is full.
    case full
    /// NOPERM: its rules don't let anybody write.
    case forbidden

    var begin: RedisCommand {
        switch self {
        case .readOnly: RedisCommand("REPLICAOF", "127.0.0.1", "1")
        case .noReplicas: RedisCommand("CONFIG", "SET", "min-replicas-to-write", "3")
        case .full: RedisCommand("CONFIG", "SET", "maxmemory", "1")
        case .forbidden: RedisCommand("ACL", "SETUSER", "default", "-@write", "-@scripting")
        }
    }

    var end: RedisCommand {
        switch self {
        case .readOnly: RedisCommand("REPLICAOF", "NO", "ONE")
        case .noReplicas: RedisCommand("CONFIG", "SET", "min-replicas-to-write", "0")
        case .full: RedisCommand("CONFIG", "SET", "maxmemory", "0")
        case .forbidden: RedisCommand("ACL", "SETUSER", "default", "+@all")
        }
    }

    /// Sends a command to some servers.
    static func send(_ command: RedisCommand, to servers: [RedisServer]) async throws {
        for server in servers {
            let node = RedisNode(try RedisEndpoint(server.url), logger: .quiet)
            let connection = Task { await node.run() }
            defer { connection.cancel() }
            let reply = try await node.send(command, within: .seconds(5))
            guard case .simple = reply else {
                throw FaultSystem.Failure(description: "a node answered \(reply) where it was to be made to fail")
            }
        }
    }
}
