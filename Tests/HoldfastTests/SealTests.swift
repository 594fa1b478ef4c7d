import Holdfast
import Postgres
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct SealTests {
    private var database: TestDatabase { FreshDatabase.current }
    private var audit: Audit { Audit(pool: database.pool) }

    private func write(_ count: Int32, daysAgo: Int32 = 0) async throws {
        try await database.run(
            """
            insert into holdfast.lock_history (at, event, lock_key, job_id, fence)
            select clock_timestamp() - $2 * interval '24 hours', 'waiting', 'k', n, n from generate_series(1, $1) n
            """,
            [.int32(count), .int32(daysAgo)]
        )
    }

    private func seal() async throws {
        while try await WorkerRegistry(pool: database.pool).sealHistory() > 0 {}
    }

    private func id(at place: Int32) async throws -> Int {
        try await database.int("select id from holdfast.lock_history order by id offset $1 limit 1", [.int32(place)])
    }

    @Test(arguments: [
        (change: "update holdfast.lock_history set reason = 'other' where id = $1", problem: "changed"),
        ("delete from holdfast.lock_history where id = $1", "removed"),
        (
            """
            with gone as (delete from holdfast.lock_history where id = $1 returning *)
            insert into holdfast.lock_history (id, at, event, lock_key) overriding system value
            select -id, at, event, lock_key from gone
            """, "inserted"
        ),
    ])
    func `a row that was changed, removed or inserted is found by its id`(change: String, problem: String) async throws
    {
        try await write(2500)
        try await seal()
        #expect(try await audit.violations(.seals) == [])
        let id = try await id(at: 1700)
        try await database.run("alter table holdfast.lock_history disable trigger user")
        try await database.run(change, [.int64(Int64(id))])
        let found = try await audit.violations(.seals)
        #expect(found.contains("history \(problem == "inserted" ? -id : id) was \(problem)"), "\(found)")
        #expect(found.count == (problem == "inserted" ? 2 : 1))
    }

    @Test
    func `a row that was inserted between two others is found by its id`() async throws {
        try await write(100)
        // An id that is drawn and not used.
        let id = try await database.int("select nextval('holdfast.lock_history_id_seq')")
        try await write(100)
        try await seal()
        #expect(try await audit.violations(.seals) == [])
        try await database.run(
            """
            insert into holdfast.lock_history (id, at, event, lock_key) overriding system value
            values ($1, clock_timestamp(), 'acquired', 'k')
            """,
            [.int64(Int64(id))]
        )
        #expect(try await audit.violations(.seals) == ["history \(id) was inserted"])
    }

    @Test
    func `a seal that was made anew for changed rows is not the one that the next was made after`() async throws {
        try await write(2500)
        try await seal()
        try await database.run("alter table holdfast.lock_history disable trigger user")
        try await database.run(
            "update holdfast.lock_history set reason = 'other' where id = $1",
            [.int64(Int64(try await id(at: 300)))]
        )
        try await database.run(
            """
            update holdfast.history_seals s
            set digests = d.digests, rows_hash = d.rows_hash
            from (
                select string_agg(substr(h.digest, 1, 8), '' order by h.id) as digests,
                       sha256(string_agg(h.digest, '' order by h.id)) as rows_hash
                from holdfast.history_digests h
                where h.id <= (select upto_id from holdfast.history_seals where number = 1)) d
            where s.number = 1
            """
        )
        try await database.run("update holdfast.history_seals s set seal = holdfast.seal_of('', s) where number = 1")
        #expect(
            try await audit.violations(.seals)
                == ["seal 2: the seal was changed, or the one before it was changed or removed"]
        )
    }

    @Test(arguments: [
        "update holdfast.history_seals set seal = '' where number = 2",
        "delete from holdfast.history_seals where number = 2",
    ])
    func `a seal that was changed or removed is found`(change: String) async throws {
        try await write(3500)
        try await seal()
        try await database.run(change)
        #expect(try await audit.violations(.seals).contains { $0.hasPrefix("seal ") })
    }

    @Test
    func `a chain that was made anew is not the one whose head was kept`() async throws {
        try await write(10)
        try await seal()
        let head = try #require(try await audit.head().flatMap(SealHead.init))
        #expect(try await audit.knows(head) == true)
        try await database.run("alter table holdfast.lock_history disable trigger user")
        try await database.run("update holdfast.lock_history set reason = 'other'")
        try await database.run("delete from holdfast.history_seals")
        try await seal()
        #expect(try await audit.violations(.seals) == [])
        #expect(try await audit.knows(head) == false)
    }

    @Test
    func `ids that an open transaction may have drawn are not sealed before it ends`() async throws {
        try await database.pool.withTransaction { connection in
            _ = try await connection.execute(
                Statement(
                    name: "open",
                    sql: "insert into holdfast.lock_history (at, event, lock_key) values (now(), 'waiting', 'slow')",
                    isPrepared: false
                )
            )
            try await write(5)
            try await seal()
            #expect(try await database.int("select count(*) from holdfast.history_seals") == 0)
        }
        try await seal()
        #expect(try await database.int("select sum(cardinality(ids)) from holdfast.history_seals") == 6)
        #expect(try await audit.violations(.seals) == [])
    }

    @Test
    func `the history is sealed across ids that nobody used`() async throws {
        try await write(5)
        try await seal()
        // More than one call looks at: a restore may leave such a gap.
        try await database.run("select setval('holdfast.lock_history_id_seq', 3000000)")
        try await write(1500)
        try await seal()
        #expect(try await database.int("select sum(cardinality(ids)) from holdfast.history_seals") == 1505)
        #expect(try await database.int("select max(cardinality(ids)) from holdfast.history_seals") == 1000)
        #expect(try await audit.violations(.seals) == [])
    }

    @Test
    func `days that retention drops leave a chain that holds`() async throws {
        try await database.run("select holdfast.make_partitions(7, 5)")
        for day: Int32 in [4, 3, 0] {
            try await write(10, daysAgo: day)
            try await seal()
        }
        let dropped = try await database.column(String.self, "select holdfast.drop_partitions(30, 2)")
        #expect(dropped.count == 3)
        #expect(try await audit.violations(.seals) == [])
        #expect(try await database.int("select min(number) from holdfast.history_seals") == 2)
        // A day that somebody else dropped is missed.
        let today = try await database.column(
            String.self,
            "select distinct tableoid::regclass::text from holdfast.lock_history"
        )
        try await database.run("drop table \(today[0])")
        #expect(try await audit.violations(.seals).count == 10)
    }

    @Test(arguments: ["holdfast_intake", "holdfast_worker", "holdfast_auditor"])
    func `no role changes what is in the history`(role: String) async throws {
        try await write(1)
        for change in [
            "update holdfast.lock_history set reason = ''", "delete from holdfast.lock_history",
            "truncate holdfast.lock_history", "delete from holdfast.history_seals",
            "insert into holdfast.history_seals (number) values (1)", "drop table holdfast.lock_history",
        ] {
            let error = try await postgresError {
                try await database.pool.withTransaction { connection in
                    try await connection.executeScript("set local role \(role); \(change)")
                }
            }
            #expect(error?.sqlState == "42501", "\(change)")
        }
        #expect(try await database.int("select count(*) from holdfast.lock_history where reason is null") == 1)
    }

    @Test
    func `no role has a right to change the history or its seals`() async throws {
        // The trigger would refuse it too: here it is the rights alone.
        let rights = try await database.column(
            String.self,
            """
            select concat_ws(' ', r.role, p.privilege, c.relname)
            from unnest(array['holdfast_intake', 'holdfast_worker', 'holdfast_auditor']) as r(role)
            cross join unnest(array['update', 'delete', 'truncate', 'trigger', 'insert']) as p(privilege)
            cross join pg_class c
            where c.relnamespace = 'holdfast'::regnamespace and c.relname ~ '^(lock_history|history_seal)'
                and c.relkind in ('r', 'p') and has_table_privilege(r.role, c.oid, p.privilege)
            """
        )
        // Workers write it by a function that runs as its owner.
        #expect(rights == [])
        #expect(
            try await database.int(
                "select count(*) from pg_auth_members m where m.member::regrole::text like 'holdfast\\_%'"
            ) == 0
        )
    }
}
