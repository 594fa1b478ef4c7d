import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct ControlTests {
    private var database: TestDatabase { FreshDatabase.current }

    private func cancel(_ job: JobID) async throws -> String {
        try await database.column(String.self, "select holdfast.cancel($1)", [.int64(job.rawValue)])[0]
    }

    private func isSound() async throws -> Bool {
        try await database.isTrue("select not exists (select from holdfast.doctor())")
    }

    private func state(_ job: JobID) async throws -> Job.State? { try await database.store.find(job)?.state }

    @Test
    func `a cancelled head frees its line at once, whatever it waited for`() async throws {
        let jobs = try await database.enqueue("k", "k")
        try await database.run(
            "update holdfast.key_lines set turn = null, due_at = clock_timestamp() + interval '1 hour'"
        )
        #expect(try await cancel(jobs[0].id) == "cancelled")
        #expect(try await state(jobs[0].id) == .cancelled)
        let claims = try await database.claim(for: database.makeWorker())
        #expect(claims.flatMap(\.jobs).map(\.id) == [jobs[1].id])
        #expect(try await cancel(jobs[0].id) == "cancelled")
        #expect(try await isSound())
    }

    @Test
    func `cancelling the last job of a line ends the line, and one within it leaves the head alone`() async throws {
        let jobs = try await database.enqueue("k", "k", "k")
        try await database.run(
            "update holdfast.key_lines set turn = null, due_at = clock_timestamp() + interval '1 hour'"
        )
        #expect(try await cancel(jobs[1].id) == "cancelled")
        #expect(try await database.claim(for: database.makeWorker()).isEmpty)
        #expect(try await cancel(jobs[0].id) == "cancelled")
        #expect(try await cancel(jobs[2].id) == "cancelled")
        #expect(try await database.lines() == [])
        #expect(try await database.unfinished() == [])
    }

    @Test
    func `a job that is claimed and has not begun is cancelled, and cannot begin then`() async throws {
        let jobs = try await database.enqueue("k", "k")
        let claim = try await database.claim(for: database.makeWorker())[0]
        try await database.begin(claim.jobs[0], of: claim)
        #expect(try await cancel(jobs[1].id) == "cancelled")
        await #expect(throws: StaleClaim.self) { try await database.begin(claim.jobs[1], of: claim) }
        var settlement = Settlement(of: claim)
        settlement.succeed(claim.jobs[0])
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: false)])
        #expect(try await state(jobs[1].id) == .cancelled)
        #expect(try await isSound())
    }

    @Test
    func `a running job is marked, its worker told, and the next claim does not run it`() async throws {
        let jobs = try await database.enqueue("k", "k")
        let worker = try await database.makeWorker()
        let registry = WorkerRegistry(pool: database.pool)
        let claim = try await database.claim(for: worker)[0]
        try await database.begin(claim.jobs[0], of: claim)
        #expect(try await registry.orders(for: worker).cancelledJobs == [])
        #expect(try await cancel(jobs[0].id) == "running")
        #expect(try await state(jobs[0].id) == .running)
        #expect(try await registry.orders(for: worker).cancelledJobs == [jobs[0].id])
        #expect(try await registry.orders(for: database.makeWorker()).cancelledJobs == [])
        try await database.bury(worker)
        #expect(try await registry.rescue().map(\.key.text) == ["k"])
        let again = try await database.claim(for: database.makeWorker())[0]
        #expect(again.jobs.map(\.isCancelled) == [true, false])
    }

    @Test
    func `cancel and begin of one job at once: one of them wins`() async throws {
        for _ in 0..<30 {
            let job = try await database.enqueue("k")[0]
            let claim = try await database.claim(for: database.makeWorker())[0]
            async let begun = try? database.begin(claim.jobs[0], of: claim)
            async let state = cancel(job.id)
            let outcome = (began: await begun != nil, state: try await state)
            #expect(outcome == (true, "running") || outcome == (false, "cancelled"))
            var settlement = Settlement(of: claim)
            if outcome.began { settlement.succeed(claim.jobs[0]) }
            settlement.freesLine = true
            #expect(try await database.store.settle([settlement]) == [.settled(hasMore: false)])
        }
        #expect(try await isSound())
    }

    @Test
    func `scheduled jobs are cancelled too, and unknown ones are said to be so`() async throws {
        let id = try await database.column(
            Int64.self,
            "select holdfast.submit('k', 'v', run_at => clock_timestamp() + interval '1 hour')"
        )[0]
        #expect(try await cancel(JobID(id)) == "cancelled")
        let error = try await postgresError { _ = try await cancel(JobID(id + 1)) }
        #expect(error?.message == "there is no job \(id + 1)")
    }

    @Test
    func `a finished job that is retried joins the end of its line, with an attempt more`() async throws {
        let first = try await database.enqueue("k")[0]
        let claim = try await database.claim(for: database.makeWorker())[0]
        var settlement = Settlement(of: claim)
        settlement.finish(claim.jobs[0], .failed, error: "no")
        settlement.freesLine = true
        _ = try await database.store.settle([settlement])
        let second = try await database.enqueue("k")[0]
        try await database.run("select holdfast.retry($1)", [.int64(first.id.rawValue)])
        #expect(try await state(first.id) == .retrying)
        let jobs = try await database.claim(for: database.makeWorker()).flatMap(\.jobs)
        #expect(jobs.map(\.id) == [second.id, first.id])
        #expect(jobs[1].attempt == 2)
        #expect(try await isSound())
        let error = try await postgresError {
            try await database.run("select holdfast.retry($1)", [.int64(first.id.rawValue)])
        }
        #expect(error?.message == "job \(first.id) is not finished")
    }

    @Test
    func `a paused queue is not claimed from, and the others are`() async throws {
        var other = try NewJob(key: "other", value: "v")
        other.queue = "other"
        _ = try await database.store.enqueue([other])
        try await database.enqueue("k")
        try await database.run("select holdfast.pause('default')")
        let worker = try await database.makeWorker()
        #expect(try await WorkerRegistry(pool: database.pool).orders(for: worker).pausedQueues == ["default"])
        let claims = try await database.claim(for: worker, queues: ["default", "other"])
        #expect(claims.map(\.key.text) == ["other"])
        try await database.run("select holdfast.resume('default')")
        #expect(try await database.claim(for: worker).map(\.key.text) == ["k"])
    }

    @Test
    func `a run ends where the line's next job is of another queue, and the line goes there`() async throws {
        var other = try NewJob(key: "k", value: "v")
        other.queue = "other"
        let first = try await database.enqueue("k")[0]
        let second = try await database.store.enqueue([other])[0]
        let third = try await database.enqueue("k")[0]
        let worker = try await database.makeWorker()
        for (queue, job) in [("default", first), ("other", second), ("default", third)] {
            #expect(try await database.column(String.self, "select queue from holdfast.key_lines") == [queue])
            let claims = try await database.claim(for: worker, queues: [queue])
            #expect(claims.flatMap(\.jobs).map(\.id) == [job.id])
            _ = try await database.store.settle(claims.map(Settlement.allSucceeded))
        }
        #expect(try await isSound())
    }

    @Test
    func `a priority that is changed chooses between keys from then on`() async throws {
        let jobs = try await database.enqueue("a", "b", "b")
        let urgent = "select holdfast.set_priority($1, 0)"
        try await database.run(urgent, [.int64(jobs[2].id.rawValue)])
        let worker = try await database.makeWorker()
        #expect(try await database.claim(for: worker, limit: 1).map(\.key.text) == ["b"])
        try await database.run("update holdfast.key_lines set held_by = null")
        try await database.run("select holdfast.set_priority($1, 9)", [.int64(jobs[2].id.rawValue)])
        #expect(
            try await database.column(Int.self, "select priority from holdfast.key_lines order by lock_key") == [5, 5]
        )
        #expect(try await isSound())
        let error = try await postgresError { try await database.run("select holdfast.set_priority(1, 10)") }
        #expect(error?.message == "priority must be from 0 to 9")
    }

    @Test(arguments: [
        ("line without jobs", "delete from holdfast.jobs where lock_key = 'a'"),
        ("job without a line", "delete from holdfast.key_lines where lock_key = 'a'"),
        (
            "job before the head of its line",
            "update holdfast.key_lines set head_place = head_place + 100 where lock_key = 'a'"
        ),
        ("line in another queue than its head", "update holdfast.key_lines set queue = 'x' where lock_key = 'a'"),
        (
            "line with another priority than its best job",
            "update holdfast.key_lines set priority = 9 where lock_key = 'a'"
        ),
    ])
    func `the doctor finds what is out of line, and repairs it`(problem: String, damage: String) async throws {
        let jobs = try await database.enqueue("a", "b", "a")
        #expect(try await isSound())
        try await database.run(damage)
        let found = try await database.column(String.self, "select distinct problem from holdfast.doctor()")
        #expect(found.contains(problem))
        #expect(try await database.int("select holdfast.repair()") == 1)
        #expect(try await isSound())
        let claims = try await database.claim(for: database.makeWorker())
        #expect(claims.flatMap(\.jobs).count == (problem == "line without jobs" ? 1 : jobs.count))
    }

    @Test
    func `the doctor finds claims without workers, and jobs that nobody lets join`() async throws {
        try await database.enqueue("a")
        _ = try await database.claim(for: database.makeWorker())
        try await database.run("update holdfast.workers set beat_at = clock_timestamp() - interval '1 hour'")
        try await database.run("select holdfast.submit('b', 'v', run_at => clock_timestamp() - interval '1 hour')")
        let found = try await database.column(String.self, "select problem from holdfast.doctor() order by 1")
        #expect(found == ["claim without a worker", "job past due"])
    }

    @Test
    func `partitions past their retention are dropped, and no others`() async throws {
        try await database.run(
            "create table holdfast.finished_jobs_20200101 partition of holdfast.finished_jobs for values from ('2020-01-01') to ('2020-01-02')"
        )
        try await database.run(
            "create table holdfast.lock_history_20200101 partition of holdfast.lock_history for values from ('2020-01-01') to ('2020-01-02')"
        )
        var retention = Retention()
        retention.historyDays = 36500
        let registry = WorkerRegistry(pool: database.pool)
        #expect(try await registry.dropPartition(retention) == "finished_jobs_20200101")
        #expect(try await registry.dropPartition(retention) == nil)
        #expect(try await registry.dropPartition(Retention()) == "lock_history_20200101")
        #expect(try await registry.dropPartition(Retention()) == nil)
    }

    @Test
    func `an attempt's row says who ran it, with which fence, and how it ended`() async throws {
        let job = try await database.enqueue("k")[0]
        let worker = try await database.makeWorker()
        let claim = try await database.claim(for: worker)[0]
        try await database.begin(claim.jobs[0], of: claim)
        let open = "select outcome is null and ended_at is null from holdfast.job_attempts"
        #expect(try await database.isTrue(open))
        try await database.bury(worker)
        _ = try await WorkerRegistry(pool: database.pool).rescue()
        let second = try await database.claim(for: database.makeWorker())[0]
        var end = LockEvent(.released, second.jobs[0], of: second, at: .now)
        end.notBefore = try await database.begin(second.jobs[0], of: second)
        var settlement = Settlement(of: second)
        end.outcome = "succeeded"
        settlement.record(end)
        settlement.finish(second.jobs[0], .succeeded)
        settlement.freesLine = true
        _ = try await database.store.settle([settlement])
        let rows = try await database.run(
            """
            select attempt, worker_id, fence, outcome, ended_at >= started_at
            from holdfast.job_attempts where job_id = $1 order by attempt
            """,
            [.int64(job.id.rawValue)]
        )
        #expect(rows.count == 2)
        #expect(try rows.map { try $0.decode(Int.self, at: 0) } == [1, 2])
        #expect(try rows[0].decode(Int64.self, at: 1) == worker.rawValue)
        #expect(
            try rows.map { try $0.decode(Int64.self, at: 2) } == [claim.jobs[0], second.jobs[0]].map(\.fence.rawValue)
        )
        #expect(try rows.map { try $0.decode(String.self, at: 3) } == ["rescued", "succeeded"])
        #expect(try rows.allSatisfy { try $0.decode(Bool.self, at: 4) })
    }
}
