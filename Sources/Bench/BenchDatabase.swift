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

    /// As intakes and workers have it.
    private static func configuration(of server: PostgresServer) throws -> PostgresConfiguration {
        var configuration = try PostgresConfiguration(
            connectionString: server.connectionString(),
            applicationName: "holdfast-bench"
        )
        configuration.avoidsTableScans = true
        return configuration
    }

    /// Starts a server while `body` runs; stops it then, also when the user interrupts it.
    static func with<Value: Sendable>(
        _ body: @escaping @Sendable (BenchDatabase) async throws -> Value
    ) async throws -> Value {
        try await withBenchFolder { folder in
            let server = try await PostgresServer.start(in: folder)
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

    /// Stores so many jobs in batches, the keys in turn.
    func fill(_ jobs: Int, keys: Int, prefix: String, durationMs: Int64 = 0) async throws {
        try await fill(jobs, durationMs: durationMs) { "\(prefix)-\($0 % keys)" }
    }

    /// Stores so many jobs in batches, each under the key of its number.
    func fill(_ jobs: Int, durationMs: Int64 = 0, key: (Int) -> String) async throws {
        let batch = 5000
        for start in stride(from: 0, to: jobs, by: batch) {
            _ = try await store.enqueue(
                (start..<min(jobs, start + batch)).map {
                    try NewJob(key: key($0), value: "v", durationMs: durationMs)
                }
            )
        }
    }
}
