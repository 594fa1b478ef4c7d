import Holdfast
import Logging
import Postgres
import Redis
import Redlock

/// The database and the nodes that the settings name.
struct Backends: Sendable {
    let database: PostgresConfiguration
    let pool: PostgresPool
    let lockNodes: [RedisLockNode]
    let valueNode: ValueNode

    /// The lock over the lock nodes.
    func makeRedlock(_ logger: Logger) -> Redlock {
        Redlock(nodes: lockNodes, logger: logger)
    }

    /// Checks that the database can be worked with.
    ///
    /// - Returns: What goes on looking, when the database is away; `nil` when it is good.
    /// - Throws: ``InvalidSetting`` when somebody has to change something first.
    func requireDatabase(_ logger: Logger) async throws -> DatabaseWatch? {
        let check = DatabaseCheck(pool: pool, logger: logger)
        switch try await check.look() {
        case .good: return nil
        case .wrong(let reason): throw InvalidSetting(reason)
        case .away: return DatabaseWatch(check: check)
        }
    }

    /// Checks that no two lock nodes are one server; a node that is away now is looked at when it comes.
    ///
    /// - Throws: ``InvalidSetting`` when two are.
    func requireIndependentNodes() async throws {
        let end = ContinuousClock.now + .seconds(3)
        // Until each has answered, or was found to be away.
        while lockNodes.contains(where: { !$0.connection.isConnected && $0.connection.trouble == nil }),
            ContinuousClock.now < end, !Task.isCancelled
        {
            try? await Task.sleep(for: .milliseconds(5))  // Cancelled: the loop ends.
        }
        for node in lockNodes {
            guard let refusal = node.refusal, refusal.code == "TWIN" else { continue }
            throw InvalidSetting("--lock-nodes: \(node.name): \(refusal.message).")
        }
    }

    /// Keeps the nodes connected while `body` runs, to its very end: what it gives back when it is cancelled is sent.
    func whileConnected<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        // Tasks of their own don't inherit cancellation; they are ended and awaited here.
        var connections = lockNodes.map { node in Task { await node.run() } }
        connections.append(Task { await valueNode.run() })
        if !lockNodes.contains(where: { $0.connection === valueNode.connection }) {
            connections.append(Task { await valueNode.connection.run() })
        }
        let result: Result<Value, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        for connection in connections {
            connection.cancel()
            await connection.value
        }
        pool.close()
        return try result.get()
    }
}

extension Settings {
    /// - Throws: ``InvalidSetting`` when the database's address is missing or cannot be understood.
    func database(_ part: String) throws -> PostgresConfiguration {
        let url = try requiredText("database.url", flag: "--database-url", isSecret: true)
        return try database(at: url, flag: "--database-url", part)
    }

    /// Where workers listen, when that is not where they do everything else: a pooler in transaction mode hears nothing.
    ///
    /// - Throws: ``InvalidSetting`` when the address cannot be understood.
    func listening(_ part: String) throws -> PostgresConfiguration? {
        try text("database.listenURL", isSecret: true).map { try database(at: $0, flag: "--listen-url", part) }
    }

    private func database(at url: String, flag: String, _ part: String) throws -> PostgresConfiguration {
        var configuration: PostgresConfiguration
        do {
            configuration = try PostgresConfiguration(connectionString: url, applicationName: "holdfast \(part)")
        } catch {
            throw InvalidSetting("\(flag): \(error)")
        }
        configuration.preparesStatements = try boolean("database.preparedStatements", default: true)
        return configuration
    }

    /// - Throws: ``InvalidSetting`` when an address is missing or cannot be understood.
    func backends(
        _ part: String,
        connections: Int,
        planning: PostgresConfiguration.Planning,
        _ logger: Logger
    ) throws -> Backends {
        var database = try database(part)
        database.planning = planning
        let endpoints = try lockEndpoints()
        let roster = NodeRoster()
        let lockNodes = endpoints.map { RedisLockNode($0, roster: roster, logger: logger) }
        let valueEndpoint = try text("value.node", isSecret: true).map { try endpoint($0, flag: "--value-node") }
        // One connection to a node that has both roles.
        let shared = valueEndpoint.map { endpoints.firstIndex(of: $0) } ?? 0
        return Backends(
            database: database,
            pool: PostgresPool(configuration: database, size: connections, logger: logger),
            lockNodes: lockNodes,
            valueNode: ValueNode(
                // Set, or shared is 0.
                shared.map { lockNodes[$0].connection } ?? RedisNode(valueEndpoint!, logger: logger),
                logger: logger
            )
        )
    }

    /// The lock nodes alone, not connected.
    ///
    /// - Throws: ``InvalidSetting`` when an address is missing or cannot be understood.
    func lockNodes(_ logger: Logger) throws -> [RedisLockNode] {
        let roster = NodeRoster()
        return try lockEndpoints().map { RedisLockNode($0, roster: roster, logger: logger) }
    }

    private func lockEndpoints() throws -> [RedisEndpoint] {
        guard let urls = list("lock.nodes"), !urls.isEmpty else {
            throw InvalidSetting(
                "--lock-nodes is not set; give it, or set HOLDFAST_LOCK_NODES, or lock.nodes in a configuration file."
            )
        }
        guard urls.count % 2 == 1 else {
            throw InvalidSetting("--lock-nodes must name an odd number of nodes, and names \(urls.count).")
        }
        let endpoints = try urls.map { try endpoint($0, flag: "--lock-nodes") }
        guard Set(endpoints).count == endpoints.count else {
            throw InvalidSetting("--lock-nodes names a node twice; nodes must be independent.")
        }
        return endpoints
    }

    /// The value node alone, not connected; `nil` when the settings name none.
    ///
    /// - Throws: ``InvalidSetting`` when its address cannot be understood.
    func valueNode(_ logger: Logger) throws -> RedisNode? {
        guard let url = try text("value.node", isSecret: true) ?? list("lock.nodes")?.first else { return nil }
        return RedisNode(try endpoint(url, flag: "--value-node"), logger: logger)
    }

    private func endpoint(_ url: String, flag: String) throws -> RedisEndpoint {
        do {
            return try RedisEndpoint(url)
        } catch {
            throw InvalidSetting("\(flag): \(error)")
        }
    }
}
