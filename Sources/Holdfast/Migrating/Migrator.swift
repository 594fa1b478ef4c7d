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
    private static let holders = Statement(
        name: "migrate_holders",
        sql: """
            select string_agg(format('process %s (%s) since %s', h.pid, h.usename, h.xact_start), '; ' order by h.xact_start)
            from (
                select distinct a.pid, a.usename, a.xact_start
                from pg_locks l
                join pg_stat_activity a on a.pid = l.pid
                join pg_class c on c.oid = l.relation
                join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'holdfast'
                where l.granted and l.pid <> pg_backend_pid() and a.xact_start < clock_timestamp() - interval '500 ms'
                order by a.xact_start
                limit 3) h
            """,
        isPrepared: false
    )
    private static let lacksAccess = Statement(
        name: "migrate_access",
        sql:
            "select exists (select from holdfast.doctor() d where d.problem in ('role is missing', 'role without its grants'))",
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

    /// Takes every step that is missing, each in a transaction of its own, and makes the partitions of the next days.
    ///
    /// Concurrent calls wait for each other. A lock on a table is waited for a second at a time, so that nobody waits behind
    /// it for longer, and who has it is said.
    ///
    /// - Returns: The names of the steps that it took.
    /// - Throws: `PostgresError`; the steps before the one that failed are taken.
    package func migrate() async throws -> [String] {
        var taken: [String] = []
        for step in Migrations.all {
            let isNew = try await withLocks(patience: .seconds(600)) { connection in
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
        _ = try await pool.execute(WorkerStatements.makePartitions)
        if try await pool.execute(Self.lacksAccess)[0].decode(Bool.self, at: 0) { try await grantAccess() }
        return taken
    }

    /// Makes the roles that are missing, and grants all what they need: a restored backup may have neither.
    package func grantAccess() async throws {
        try await withLocks(patience: .seconds(60)) { try await $0.executeScript(Migrations.access) }
        logger.info("Roles and their grants made again")
    }

    /// Runs `body` in a transaction, as one at a time, with short waits for locks, and again when one was not to be had.
    private func withLocks<Value>(
        patience: Duration,
        _ body: (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let end = ContinuousClock.now + patience
        var notice = OutageNotice()
        while true {
            do {
                return try await pool.withTransaction { connection in
                    try await connection.executeScript("set local lock_timeout = '1s'")
                    _ = try await connection.execute(Self.lock)
                    return try await body(connection)
                }
            } catch let error as PostgresError where (error.isLockTimeout || error.gaveWay) && .now < end {
                if notice.failed() {
                    let holders = try await pool.execute(Self.holders)[0].decodeIfPresent(String.self, at: 0)
                    logger.warning(
                        "Waiting for others that use the schema",
                        metadata: ["db.holders": "\(holders ?? "another migration")"]
                    )
                }
                try await Task.sleep(for: .seconds(1) * Double.random(in: 0.5...1))
            }
        }
    }

    /// The version of the database's schema; 0 when there is none.
    package func currentVersion() async throws -> Int {
        guard try await pool.execute(Self.exists)[0].decode(Bool.self, at: 0) else { return 0 }
        return try await pool.execute(Self.current)[0].decode(Int.self, at: 0)
    }
}
