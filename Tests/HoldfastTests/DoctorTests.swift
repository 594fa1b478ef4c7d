import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// What clocks, restored backups and replication leave behind.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct DoctorTests {
    private var database: TestDatabase { FreshDatabase.current }

    private func problems() async throws -> [String] {
        try await database.column(String.self, "select distinct problem from holdfast.doctor() order by 1")
    }

    private func submit(_ key: String) async throws {
        try await database.run("select holdfast.submit($1, 'v', duration_ms => 0)", [.text(key)])
        try await database.run("select holdfast.promote('-infinity', '-infinity', 1000)")
    }

    @Test func `sequences that replication has left behind are told, and raised`() async throws {
        try await database.enqueue((0..<20).map { "k\($0)" })
        let worker = try await database.makeWorker()
        for claim in try await database.claim(for: worker, limit: 10) {
            try await database.begin(claim.jobs[0], of: claim)
            _ = try await database.store.settle([Settlement.allSucceeded(claim)])
        }
        _ = try await database.claim(for: worker, limit: 1)
        #expect(try await problems() == [])
        let used = "select sum(used)::bigint from holdfast.sequence_marks()"
        let before = try await database.int(used)
        for name in ["jobs_id_seq", "fence", "turn", "worker_id_seq", "lock_history_id_seq", "node_sets_id_seq"] {
            try await database.run("select setval('holdfast.\(name)', 1, false)")
        }
        #expect(try await problems() == ["sequence behind its table"])
        let behind = "select count(*) from holdfast.doctor() where problem = 'sequence behind its table'"
        #expect(try await database.int(behind) == 5)  // Votes have no nodes here.
        try await database.run("select holdfast.repair()")
        #expect(try await problems() == [])
        #expect(try await database.int(used) == before)
        let ids = try await database.enqueue("new", "newer").map(\.id.rawValue)
        #expect(ids.min()! > 20)
        #expect(try await database.makeWorker().rawValue > worker.rawValue)
        // Once is enough, and nothing is set back.
        #expect(try await database.isTrue("select holdfast.raise_sequence('holdfast.fence', 1)") == false)
    }

    @Test func `what a clock that was ahead lets wait is told, and waits no longer than it was to`() async throws {
        try await database.enqueue("line")
        let claim = try await database.claim(for: database.makeWorker())[0]
        var settlement = Settlement(of: claim)
        settlement.retry(claim.jobs[0], error: "no", after: .seconds(20))
        settlement.freesLine = true
        _ = try await database.store.settle([settlement])
        try await database.run("select holdfast.submit('job', 'v')")
        try await database.run("select holdfast.submit('later', 'v', run_at => now() + interval '2 hours')")
        #expect(try await problems() == [])
        // As when the clock has gone back by an hour since.
        try await database.run(
            "update holdfast.key_lines set claimed_at = claimed_at + interval '1 hour', due_at = due_at + interval '1 hour'"
        )
        try await database.run(
            """
            update holdfast.jobs
            set submitted_at = submitted_at + interval '1 hour', run_at = run_at + interval '1 hour' where place is null
            """
        )
        #expect(try await problems() == ["job from the future", "line from the future"])
        #expect(try await database.int("select holdfast.repair()") == 2)
        #expect(try await problems() == [])
        #expect(
            try await database.isTrue("select due_at <= clock_timestamp() + interval '21 s' from holdfast.key_lines")
        )
        #expect(
            try await database.isTrue("select run_at <= clock_timestamp() from holdfast.jobs where lock_key = 'job'")
        )
        // What was to run at a time of its submitter's does.
        #expect(
            try await database.isTrue(
                "select run_at > clock_timestamp() + interval '90 minutes' from holdfast.jobs where lock_key = 'later'"
            )
        )
    }

    @Test func `partitions of today that are missing are told, and made`() async throws {
        for table in ["finished_jobs", "lock_history"] {
            let name = try await database.column(
                String.self,
                "select $1 || to_char(clock_timestamp() at time zone 'UTC', '_YYYYMMDD')",
                [.text(table)]
            )[0]
            try await database.run("drop table holdfast.\(name)")
        }
        #expect(try await problems() == ["no partition for today"])
        try await database.run("select holdfast.repair()")
        #expect(try await problems() == [])
    }

    @Test(arguments: ["holdfast_intake", "holdfast_worker", "holdfast_auditor"])
    func `a role without its grants is told, and a migration grants them again`(role: String) async throws {
        try await database.run("revoke all on schema holdfast from \(role)")
        #expect(try await problems() == ["role without its grants"])
        _ = try await Migrator(pool: database.pool, logger: .quiet).migrate()
        #expect(try await problems() == [])
    }

    @Test func `what is granted can be granted again, and gives nobody more`() async throws {
        let grants = """
            select c.relname || ' ' || coalesce(c.relacl::text, '')
            from pg_class c where c.relnamespace = 'holdfast'::regnamespace
            union all
            select p.proname || ' ' || coalesce(p.proacl::text, '')
            from pg_proc p where p.pronamespace = 'holdfast'::regnamespace
            order by 1
            """
        let before = try await database.column(String.self, grants)
        try await Migrator(pool: database.pool, logger: .quiet).grantAccess()
        #expect(try await database.column(String.self, grants) == before)
    }
}
