import Logging
import Postgres

extension CommonOptions {
    /// Lends connections to the database, for a command that talks to nothing else.
    ///
    /// - Parameters:
    ///   - part: What the connections are called.
    ///   - size: How many there are at most.
    ///   - body: What is done.
    /// - Returns: What `body` returns.
    /// - Throws: `ValidationError`, or what `body` throws.
    func withPool<Value: Sendable>(
        _ part: String,
        size: Int = 1,
        _ body: (PostgresPool, Logger) async throws -> Value
    ) async throws -> Value {
        let settings = try await Settings(flags: values, file: configurationFile)
        let logger = try settings.makeLogger(part)
        let pool = PostgresPool(configuration: try settings.database(part), size: size, logger: logger.forShortUse)
        defer { pool.close() }
        return try await body(pool, logger)
    }
}
