package import Logging
import Migrations
package import Postgres

/// Brings a database's schema up to what this program needs.
package struct Migrator: Sendable {
    private static let prepare = """
        create schema if not exists holdfast;
        comment on schema holdfast is 'A durable job queue whose tasks are guarded by locks, and the history of those locks.';
        create table if not exists holdfast.schema_migrations (
            version integer not null primary key,
            name text not null,
            applied_at timestamptz not null default clock_timestamp());
        comment on table holdfast.schema_migrations is 'The steps that made this schema.';
        """
    private static let lock = Statement(
        name: "migrate_lock",
        sql: "select pg_advisory_xact_lock(hashtextextended('holdfast.migrate', 0))",
        isPrepared: false
    )
    private static let current = Statement(
        name: "migrate_current",
        sql: "select coalesce(max(version), 0) from holdfast.schema_migrations",
        isPrepared: false
    )
    private static let record = Statement(
        name: "migrate_record",
        sql: "insert into holdfast.schema_migrations (version, name) values ($1, $2)",
        isPrepared: false
    )
    private static let exists = Statement(
        name: "migrate_exists",
        sql: "select to_regclass('holdfast.schema_migrations') is not null",
        isPrepared: false
    )

    /// The version that this program needs.
    package static var latest: Int { Migrations.all.map(\.version).max() ?? 0 }

    private let pool: PostgresPool
    private let logger: Logger

    package init(pool: PostgresPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
    }

    /// Takes every step that is missing, each in a transaction of its own.
    ///
    /// Concurrent calls wait for each other.
    ///
    /// - Returns: The names of the steps that it took.
    /// - Throws: `PostgresError`; the steps before the one that failed are taken.
    package func migrate() async throws -> [String] {
        var taken: [String] = []
        for step in Migrations.all {
            let isNew = try await pool.withTransaction { connection in
                try await connection.executeScript("set local lock_timeout = '300s'")
                _ = try await connection.execute(Self.lock, within: .seconds(300))
                try await connection.executeScript(Self.prepare)
                guard try await connection.execute(Self.current)[0].decode(Int.self, at: 0) < step.version else {
                    return false
                }
                _ = try await connection.execute(Self.record, [.int(step.version), .text(step.name)])
                try await connection.executeScript(step.sql, within: .seconds(300))
                return true
            }
            if isNew {
                logger.info("Migrated", metadata: ["migration": "\(step.name)"])
                taken.append(step.name)
            }
        }
        return taken
    }

    /// The version of the database's schema; 0 when there is none.
    package func currentVersion() async throws -> Int {
        guard try await pool.execute(Self.exists)[0].decode(Bool.self, at: 0) else { return 0 }
        return try await pool.execute(Self.current)[0].decode(Int.self, at: 0)
    }
}
