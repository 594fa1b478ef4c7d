import Foundation

/// A private PostgreSQL and private Redis nodes in one folder of one machine: for `holdfast dev`, and for every test.
package struct LocalStack: Sendable {
    /// The name of the database that is made.
    package static let database = "holdfast"

    package let folder: String
    package let postgres: PostgresServer
    /// The lock nodes; the first is the value node too.
    package let nodes: [RedisServer]

    /// A stack of servers that run already.
    ///
    /// - Parameters:
    ///   - folder: That of their data.
    ///   - postgres: Has the database ``database``.
    ///   - nodes: The lock nodes; the first is the value node too.
    package init(folder: String, postgres: PostgresServer, nodes: [RedisServer]) {
        self.folder = folder
        self.postgres = postgres
        self.nodes = nodes
    }

    /// A libpq connection URI for the database.
    package var databaseURL: String { postgres.connectionString(database: Self.database) }

    /// A libpq connection URI for the database, as a role that may log in.
    package func databaseURL(for role: String) -> String {
        postgres.connectionString(database: Self.database, user: role)
    }

    /// Starts the servers.
    ///
    /// - Parameters:
    ///   - folder: For all their data, made when it is missing.
    ///   - nodeCount: How many Redis nodes.
    ///   - nodeOptions: More arguments for each `redis-server`.
    ///   - postgresSettings: More settings of PostgreSQL, such as `["max_connections=200"]`.
    /// - Returns: The servers, ready.
    /// - Throws: ``LocalStackError``; nothing is left running then.
    package static func start(
        in folder: String,
        nodeCount: Int = 3,
        nodeOptions: [String] = RedisServer.persistent,
        postgresSettings: [String] = []
    ) async throws -> LocalStack {
        let postgres = try await PostgresServer.start(in: "\(folder)/postgres", settings: postgresSettings)
        var nodes: [RedisServer] = []
        do {
            try await postgres.createDatabase(database)
            for number in 1...nodeCount {
                nodes.append(try await RedisServer.start(in: "\(folder)/redis-\(number)", options: nodeOptions))
            }
        } catch {
            await LocalStack(folder: folder, postgres: postgres, nodes: nodes).stop()
            throw error
        }
        return LocalStack(folder: folder, postgres: postgres, nodes: nodes)
    }

    /// Ends every server in order, the database last.
    package func stop() async {
        await withDiscardingTaskGroup { group in
            for node in nodes { group.addTask { await node.stop() } }
        }
        await postgres.stop()
    }
}
