import Holdfast
import Postgres
import Redlock
import Synchronization
import TestSupport
import Testing

/// What tasks say of their progress, as it is stored.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct ProgressTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// What a task says that reports `part`.
    private func report(_ part: Double, _ job: ClaimedJob, key: LockKey) async throws -> TaskProgress {
        try await TestNodes.with(1) { nodes in
            let acquisition = await nodes.redlock.tryAcquire(key, token: "token", ttl: .seconds(20))
            guard case .granted(let hold) = acquisition else { throw NotGranted() }
            let reports = Mutex<[TaskProgress]>([])
            let context = TaskContext(job: job, hold: hold, logger: .quiet) { report in
                reports.withLock { $0.append(report) }
            }
            context.report(part, "a part")
            await nodes.redlock.release(hold)
            let first = reports.withLock { $0.first }
            return try #require(first)
        }
    }

    private struct NotGranted: Error {}

    @Test(
        arguments: [
            (part: 0.0 / 0.0, stored: 0), (part: 1e-46, stored: 1e-46),
            (part: .leastNonzeroMagnitude, stored: .leastNonzeroMagnitude), (part: -1, stored: 0),
            (part: .infinity, stored: 1), (part: 0.5, stored: 0.5),
        ] as [(part: Double, stored: Double)]
    )
    func `whatever a task reports is stored, and its job can still finish`(part: Double, stored: Double) async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        let progress = try await report(part, claim.jobs[0], key: claim.key)
        try await WorkerRegistry(pool: database.pool).store([progress], of: worker)
        #expect(try await database.store.find(claim.jobs[0].id)?.progress == stored)
        #expect(try await database.store.settle([.allSucceeded(claim)]) == [.settled(hasMore: false)])
        let job = try #require(try await database.store.find(claim.jobs[0].id))
        #expect(job.state == .succeeded && job.progress == stored && job.progressNote == "a part")
    }

    @Test
    func `progress waits for no row that a settle has locked, and that of other jobs is stored`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "b")
        let claims = try await database.claim(for: worker).sorted { $0.key < $1.key }
        var reports: [TaskProgress] = []
        for claim in claims { reports.append(try await report(0.5, claim.jobs[0], key: claim.key)) }
        let registry = WorkerRegistry(pool: database.pool)
        try await database.pool.withTransaction { [reports] connection in
            // As a settle does.
            let sql = "delete from holdfast.jobs where id = \(claims[0].jobs[0].id)"
            _ = try await connection.execute(Statement(name: "lock", sql: sql, isPrepared: false))
            // Here nobody ends the transaction: if it were waited for, this would end by its deadline.
            try await registry.store(reports, of: worker)
        }
        #expect(try await database.store.find(claims[1].jobs[0].id)?.progress == 0.5)
        #expect(try await database.store.find(claims[0].jobs[0].id) == nil)
    }

    @Test
    func `progress of a job whose line is another's is not stored`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        let progress = try await report(0.5, claim.jobs[0], key: claim.key)
        let other = try await database.makeWorker()
        try await WorkerRegistry(pool: database.pool).store([progress], of: other)
        let job = try #require(try await database.store.find(claim.jobs[0].id))
        #expect(job.progress == nil)
    }
}
