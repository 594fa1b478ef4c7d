import Holdfast
import LocalStack
import Logging
import Postgres

/// A private PostgreSQL with the schema, in a folder that is removed; it syncs each commit.
struct BenchDatabase: Sendable {
    let server: PostgresServer
    let pool: PostgresPool
    let logger: Logger

    var store: JobStore { JobStore(pool: pool, deadline: .seconds(120)) }

    func configuration() throws -> PostgresConfiguration {
        try Self.configuration(of: server)
    }

    /// As workers have it.
    private static func configuration(of server: PostgresServer) throws -> PostgresConfiguration {
        var configuration = try PostgresConfiguration(
            connectionString: server.connectionString(),
            applicationName: "holdfast-bench"
        )
        configuration.planning = .once
        return configuration
    }

    /// Starts a server while `body` runs, and stops it then.
    ///
    /// - Parameters:
    ///   - settings: More settings, such as `["max_connections=200"]`.
    ///   - body: Is lent the server.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or why there is no server.
    static func with<Value: Sendable>(
        settings: [String] = [],
        _ body: (BenchDatabase) async throws -> Value
    ) async throws -> Value {
        try await withBenchFolder { folder in
            let server = try await PostgresServer.start(in: folder, settings: settings)
            let result: Result<Value, any Error>
            do {
                result = .success(try await connected(to: server, body))
            } catch {
                result = .failure(error)
            }
            await server.stop()
            return try result.get()
        }
    }

    private static func connected<Value: Sendable>(
        to server: PostgresServer,
        _ body: (BenchDatabase) async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "holdfast-bench")
        logger.logLevel = .warning
        let pool = PostgresPool(configuration: try configuration(of: server), size: 8, logger: logger)
        defer { pool.close() }
        _ = try await Migrator(pool: pool, logger: logger).migrate()
        return try await body(BenchDatabase(server: server, pool: pool, logger: logger))
    }

    func execute(_ sql: String, _ parameters: [Parameter] = []) async throws -> Rows {
        try await pool.execute(Statement(name: "bench", sql: sql, isPrepared: false), parameters, within: .seconds(300))
    }

    /// The number that a query gives.
    func number(_ sql: String) async throws -> Double {
        try await execute("select (\(sql))::double precision")[0].decode(Double.self, at: 0)
    }

    /// The highest id that a job has; all that come have higher ones.
    func lastID() async throws -> Int64 { Int64(try await number("select last_value from holdfast.jobs_id_seq")) }

    /// By its own clock.
    func now() async throws -> PostgresTimestamp {
        try await execute("select clock_timestamp()")[0].decode(PostgresTimestamp.self, at: 0)
    }

    /// Processor time and memory of all its processes.
    var usage: ProcessUsage { ProcessUsage(of: server.process.map { [$0.pid] } ?? [], withDescendants: true) }
}

/// Waits until something is so; asks every 50 ms.
///
/// - Throws: ``BenchError`` when it is not within `limit`, or what `condition` throws.
func wait(until what: String, within limit: Duration, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now.advanced(by: limit)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw BenchError(description: "not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(50))
    }
}
