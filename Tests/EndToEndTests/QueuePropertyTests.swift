import Foundation
import Holdfast
import LocalStack
import Postgres
import Randomness
import TestSupport
import Testing

/// Whatever is submitted, scheduled, cancelled and retried while workers are killed: the queue keeps its promises.
@Suite(.timeLimit(.minutes(5)))
struct QueuePropertyTests {
    private static let submit = Statement(
        name: "test_submit",
        sql: """
            select holdfast.submit(
                key => $1, value => $2, priority => $3, duration_ms => $4, lock_ttl_ms => 1500,
                run_at => clock_timestamp() + $5 * interval '1 millisecond', idempotency_key => $6)
            """
    )

    @Test
    func `what is done to jobs at random keeps every promise`() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SeededRandom(state: seed)
        try await TestSystem.with { system in
            let store = JobStore(pool: system.pool)
            let operations = QueueOperations(pool: system.pool)
            var workers = try (0..<3).map { try worker($0, system) }
            var ids: Set<Int64> = []
            var retried: Set<Int64> = []
            for step in 0..<400 {
                switch Int.random(in: 0..<100, using: &random) {
                case 0..<45:
                    let job = try newJob(step, &random)
                    ids.insert(try await store.enqueue([job])[0].id.rawValue)
                case 45..<70:
                    let delay = Bool.random(using: &random) ? Int32.random(in: 0...1500, using: &random) : nil
                    let row = try await system.pool.execute(
                        Self.submit,
                        [
                            .text("k\(Int.random(in: 0..<8, using: &random))"), .text("\(step)"),
                            .int32(Int32.random(in: 0...9, using: &random)),
                            .int32(Int32.random(in: 0...30, using: &random)), .int32(delay),
                            .text(Bool.random(using: &random) ? "once-\(step / 4)-\(step)" : nil),
                        ]
                    )[0]
                    ids.insert(try row.decode(Int64.self, at: 0))
                case 70..<82:
                    if let id = ids.randomElement(using: &random) { _ = try await operations.cancel(JobID(id)) }
                case 82..<90:
                    if let id = ids.randomElement(using: &random) {
                        do {
                            try await operations.retry(JobID(id))
                            retried.insert(id)
                        } catch let error as PostgresError where error.sqlState == "55000" {
                            // It is not finished.
                        }
                    }
                case 90..<96:
                    if let id = ids.randomElement(using: &random) {
                        // Refused when it is finished.
                        try? await operations.setPriority(JobID(id), Int32.random(in: 0...9, using: &random))
                    }
                default:
                    let victim = Int.random(in: 0..<workers.count, using: &random)
                    workers[victim].process.signal(SIGKILL)
                    await workers[victim].process.waitForExit()
                    workers[victim] = try worker(victim, system)
                }
            }
            try await eventually("all jobs have finished") {
                try await system.count("select count(*) from holdfast.jobs") == 0
            }
            for worker in workers { await worker.process.end(with: SIGTERM, within: .seconds(60)) }
            try await expectPromisesKept(ids, retried: retried, system)
        }
    }

    private func worker(_ number: Int, _ system: TestSystem) throws -> Program {
        try Program(["work", "--name", "worker-\(number)", "--slots", "4"], environment: system.environment)
    }

    private func newJob(_ step: Int, _ random: inout SeededRandom) throws -> NewJob {
        var job = try NewJob(
            key: "k\(Int.random(in: 0..<8, using: &random))",
            value: "\(step)",
            durationMs: Int64.random(in: 0...30, using: &random),
            lockTTLMs: 1500
        )
        job.priority = Int32.random(in: 0...9, using: &random)
        return job
    }

    private func expectPromisesKept(_ ids: Set<Int64>, retried: Set<Int64>, _ system: TestSystem) async throws {
        let outcomes = try await system.texts(
            "select outcome || ' ' || count(*) from holdfast.job_attempts group by outcome order by 1"
        )
        print("\(ids.count) jobs, \(retried.count) run again; attempts: \(outcomes.joined(separator: ", "))")
        // Nothing is lost, and nothing is there twice.
        let finished = try await system.texts("select id::text from holdfast.finished_jobs").compactMap { Int64($0) }
        #expect(finished.count == ids.count && Set(finished) == ids)
        // Nothing ran under two fences at once, and fences rise.
        #expect(try await system.count("select count(*) from holdfast.lock_overlaps") == 0)
        #expect(try await system.count("select count(*) from holdfast.fence_regressions") == 0)
        // Of those that joined their lines at once, and were not run again, the later submitted began later.
        let disorder = """
            with first as (
                select j.id, j.lock_key, min(a.fence) as fence
                from holdfast.finished_jobs j
                join holdfast.job_attempts a on a.job_id = j.id
                where j.run_at is null and j.id not in (\(retried.union([0]).map(String.init).joined(separator: ",")))
                group by j.id, j.lock_key)
            select count(*)
            from first a
            join first b on b.lock_key = a.lock_key and b.id > a.id and b.fence < a.fence
            """
        #expect(try await system.count(disorder) == 0)
        // Every attempt is accounted for.
        #expect(try await system.count("select count(*) from holdfast.job_attempts where outcome is null") == 0)
        let unproved = """
            select count(*) from holdfast.finished_jobs j
            where j.state = 'succeeded' and not exists (
                select from holdfast.job_attempts a
                where a.job_id = j.id and a.fence = j.fence and a.outcome = 'succeeded')
            """
        #expect(try await system.count(unproved) == 0)
        #expect(try await system.count("select count(*) from holdfast.finished_jobs where state = 'failed'") == 0)
        #expect(try await system.texts("select problem || ' ' || detail from holdfast.doctor()") == [])
    }
}
