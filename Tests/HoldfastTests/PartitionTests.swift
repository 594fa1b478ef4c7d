import Holdfast
import InMemoryLogging
import Logging
import Postgres
import Redlock
import TestSupport
import Testing

/// Partitions that are missing, or in use when they are to go.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct PartitionTests {
    private var database: TestDatabase { FreshDatabase.current }
    private var registry: WorkerRegistry { WorkerRegistry(pool: database.pool) }

    private func dropAll() async throws {
        for name in try await database.column(
            String.self,
            "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r'"
        ) {
            try await database.run("drop table holdfast.\(name)")
        }
    }

    @Test func `a hold, a settle, a cancel and a rescue make the partitions that they need`() async throws {
        try await database.enqueue("settled", "cancelled", "rescued")
        let worker = try await database.makeWorker()
        let claims = try await database.claim(for: worker)
        let claim = try #require(claims.first { $0.key.text == "settled" })
        try await dropAll()
        try await database.begin(claim.jobs[0], of: claim)
        try await dropAll()
        var settlement = Settlement(of: claim)
        settlement.finish(claim.jobs[0], .succeeded, startedAt: nil)
        #expect(try await database.store.settle([settlement]).count == 1)
        #expect(try await database.int("select count(*) from holdfast.finished_jobs") == 1)
        let other = try #require(claims.first { $0.key.text == "cancelled" })
        try await dropAll()
        #expect(try await QueueOperations(pool: database.pool).cancel(other.jobs[0].id) == .cancelled)
        try await dropAll()
        try await database.bury(worker)
        #expect(try await registry.rescue().map(\.key.text).contains("rescued"))
    }

    @Test(arguments: ["holdfast_intake", "holdfast_worker"])
    func `each part may make them`(role: String) async throws {
        try await dropAll()
        try await database.pool.withTransaction { connection in
            try await connection.executeScript("set local role \(role); select holdfast.make_partitions(7)")
        }
        #expect(try await database.int("select holdfast.make_partitions(7)") == 0)
    }

    @Test func `a migration makes them too`() async throws {
        try await dropAll()
        #expect(try await Migrator(pool: database.pool, logger: .quiet).migrate() == [])
        #expect(try await database.int("select holdfast.make_partitions(7)") == 0)
    }

    @Test func `their bounds are at midnight UTC, whatever zone and DateStyle the session has`() async throws {
        try await dropAll()
        try await database.pool.withTransaction { connection in
            try await connection.executeScript(
                "set local timezone = 'Asia/Kolkata'; set local datestyle = 'SQL, DMY'; select holdfast.make_partitions(20)"
            )
        }
        let bounds = try await database.column(
            String.self,
            """
            select distinct to_char(b.bound::timestamptz at time zone 'UTC', 'HH24:MI')
            from pg_inherits i
            join pg_class c on c.oid = i.inhrelid
            cross join regexp_matches(pg_get_expr(c.relpartbound, c.oid), '[(].(.*?).[)]', 'g') as m(match)
            cross join unnest(m.match) as b(bound)
            where c.relkind = 'r'
            """
        )
        #expect(bounds == ["00:00"])
    }

    @Test func `one that somebody reads stays for now, and says who; the other table's go`() async throws {
        try await database.run("select holdfast.make_partitions(0, 3)")
        var retention = Retention()
        retention.finishedDays = 2
        retention.historyDays = 2
        try await database.pool.withTransaction { connection in
            try await connection.executeScript("lock table holdfast.lock_history in access share mode")
            #expect(try await registry.dropPartition(retention)?.hasPrefix("finished_jobs_") == true)
            let error = try await postgresError { _ = try await registry.dropPartition(retention) }
            #expect(error?.isLockTimeout == true)
            #expect(error?.message.contains("lock_history") == true, "\(String(describing: error))")
            #expect(error?.message.contains("process \(connection.backendID)") == true, "\(String(describing: error))")
        }
        #expect(try await registry.dropPartition(retention)?.hasPrefix("lock_history_") == true)
        #expect(try await registry.dropPartition(retention) == nil)
    }

    @Test func `a migration lets others pass while it waits, and says for whom`() async throws {
        try await database.run("drop schema holdfast cascade")
        let migrator = Migrator(pool: database.pool, logger: .quiet)
        _ = try await migrator.migrate()
        try await database.run("delete from holdfast.schema_migrations where version = \(Migrator.latest)")
        try await database.run("drop table holdfast.tokens")
        let log = InMemoryLogHandler()
        let logger = Logger(label: "migrate") { _ in log }
        try await withThrowingTaskGroup { group in
            try await database.pool.withTransaction { connection in
                // As a dump has it.
                try await connection.executeScript("select version from holdfast.schema_migrations")
                try await connection.executeScript("lock table holdfast.schema_migrations in share mode")
                group.addTask { [pool = database.pool] in
                    _ = try await Migrator(pool: pool, logger: logger).migrate()
                }
                let waits: () -> InMemoryLogHandler.Entry? = {
                    log.entries.first { $0.message == "Waiting for others that use the schema" }
                }
                while waits() == nil { try await Task.sleep(for: .milliseconds(20)) }
                let holders = "\(waits()?.metadata["db.holders"] ?? "")"
                #expect(holders.contains("process \(connection.backendID)"), "\(holders)")
                // Others pass between two tries.
                #expect(try await migrator.currentVersion() == Migrator.latest - 1)
            }
            try await group.waitForAll()
        }
        #expect(try await migrator.currentVersion() == Migrator.latest)
    }
}
