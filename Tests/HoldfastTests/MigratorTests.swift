import Holdfast
import Postgres
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct MigratorTests {
    private var database: TestDatabase { FreshDatabase.current }

    @Test
    func `a database that is up to date is left as it is`() async throws {
        let objects = """
            select c.oid::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'holdfast'
            order by c.oid
            """
        let migrator = Migrator(pool: database.pool, logger: .quiet)
        let before = try await database.column(Int64.self, objects)
        #expect(try await migrator.currentVersion() == Migrator.latest)
        #expect(try await migrator.migrate() == [])
        #expect(try await database.column(Int64.self, objects) == before)
        #expect(try await migrator.currentVersion() == Migrator.latest)
    }

    @Test
    func `four that migrate a new database at once take each step once`() async throws {
        try await database.run("drop schema holdfast cascade")
        #expect(try await Migrator(pool: database.pool, logger: .quiet).currentVersion() == 0)
        let taken = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 {
                group.addTask { [pool = database.pool] in try await Migrator(pool: pool, logger: .quiet).migrate() }
            }
            var taken: [[String]] = []
            for try await names in group { taken.append(names) }
            return taken
        }
        let names = try await database.column(String.self, "select name from holdfast.schema_migrations")
        let versions = try await database.column(
            Int.self,
            "select version from holdfast.schema_migrations order by version"
        )
        #expect(versions == Array(1...Migrator.latest))
        #expect(taken.flatMap(\.self).sorted() == names.sorted())
        try await database.enqueue("k")
    }

    @Test(arguments: ["finished_jobs", "lock_history"])
    func `there are partitions from yesterday to a week ahead, and as many more as one asks for`(
        table: String
    ) async throws {
        let missing = """
            select count(*)
            from generate_series(-1, $2) as n
            where not exists (
                select from pg_inherits i
                join pg_class c on c.oid = i.inhrelid
                where i.inhparent = ('holdfast.' || $1)::regclass
                    and c.relname = $1 || to_char((now() + make_interval(hours => 24 * n)) at time zone 'UTC', '_YYYYMMDD'))
            """
        // One day less, in case the template was made before midnight.
        #expect(try await database.int(missing, [.text(table), .int32(6)]) == 0)
        #expect(try await database.int(missing, [.text(table), .int32(20)]) > 0)
        #expect(try await database.int("select holdfast.make_partitions(20)") >= 26)
        #expect(try await database.int(missing, [.text(table), .int32(20)]) == 0)
        #expect(try await database.int("select holdfast.make_partitions(20)") == 0)
    }

    @Test(arguments: [
        ("lock_history", "lock_history_at"), ("finished_jobs", "finished_jobs_finished_at"),
        ("finished_jobs", "finished_jobs_failed"),
    ])
    func `each partition can be asked by time, and for what has failed`(table: String, index: String) async throws {
        try await database.run("select holdfast.make_partitions(9)")  // A partition made later is no exception.
        let partitions = try await database.int(
            "select count(*) from pg_inherits where inhparent = ('holdfast.' || $1)::regclass",
            [.text(table)]
        )
        #expect(partitions >= 11)
        let indexed = try await database.int(
            """
            select count(*)
            from pg_inherits i
            join pg_index x on x.indexrelid = i.inhrelid and x.indisvalid
            where i.inhparent = ('holdfast.' || $1)::regclass
            """,
            [.text(index)]
        )
        #expect(indexed == partitions)
        // Of the whole, once each partition has it.
        let isWhole = "select indisvalid from pg_index where indexrelid = ('holdfast.' || $1)::regclass"
        #expect(try await database.column(Bool.self, isWhole, [.text(index)]) == [true])
    }

    @Test(arguments: [
        "update holdfast.% set reason = 'other'", "delete from holdfast.%", "truncate holdfast.%",
    ])
    func `the lock history is append-only, in each of its partitions too`(change: String) async throws {
        try await database.run("select holdfast.make_partitions(9)")  // A partition made later is no exception.
        for day in [0, 9] {
            try await database.run(
                """
                insert into holdfast.lock_history (at, event, lock_key, reason)
                values (clock_timestamp() + make_interval(hours => 24 * $1), 'acquired', 'k', 'original')
                """,
                [.int32(Int32(day))]
            )
        }
        let partitions = try await database.column(
            String.self,
            """
            select distinct c.relname::text
            from holdfast.lock_history h
            join pg_class c on c.oid = h.tableoid
            """
        )
        #expect(partitions.count == 2)
        for table in ["lock_history"] + partitions {
            let error = try await postgresError { try await database.run(change.replacing("%", with: table)) }
            #expect(error?.sqlState == "42501", "\(table)")
            #expect(error?.message.contains("append-only") == true, "\(table)")
        }
        let reasons = try await database.column(String.self, "select reason from holdfast.lock_history")
        #expect(reasons == ["original", "original"])
    }
}
