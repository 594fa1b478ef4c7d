import Foundation
import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// The hold of a run's next job, which is recorded with the end of the one before it.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct NextHoldTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// When a job's event was, as recorded.
    private func times(of event: String, _ job: JobID) async throws -> [PostgresTimestamp] {
        try await database.column(
            PostgresTimestamp.self,
            "select at from holdfast.lock_history where event = $1::holdfast.lock_event and job_id = $2",
            [.text(event), .int64(job.rawValue)]
        )
    }

    private func cancel(_ job: JobID) async throws {
        let state = try await database.column(String.self, "select holdfast.cancel($1)", [.int64(job.rawValue)])
        #expect(state == ["cancelled"])
    }

    private func isSound() async throws -> Bool {
        try await database.isTrue("select not exists (select from holdfast.doctor())")
    }

    @Test
    func `it is recorded after the end of the one before it, and the line stays the claim's`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a", "a").map(\.id)
        let claim = try #require(try await database.claim(for: worker).first)
        let results = try await database.store.settle([database.makePart(of: claim)])
        let released = try #require(try await times(of: "released", jobs[0]).first)
        let acquired = try #require(try await times(of: "acquired", jobs[1]).first)
        #expect(results == [.acquired(HoldReceipt(at: acquired))])
        #expect(released <= acquired)
        #expect(try await database.history() == ["acquired 1", "released 1", "acquired 1"])
        #expect(try await database.store.find(jobs[0])?.state == .succeeded)
        #expect(try await database.store.find(jobs[1])?.state == .running)
        #expect(try await database.lines().map(\.holder) == [worker])
        #expect(try await database.unfinished() == [jobs[1], jobs[2]])
    }

    @Test(arguments: [true, false])
    func `of a job that was cancelled meanwhile it is refused, and the rest of the batch is settled`(
        besideALineThatIsFreed: Bool
    ) async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a", "b", "b", "c").map(\.id)
        let claims = try await database.claim(for: worker).sorted { $0.key < $1.key }
        try await cancel(jobs[1])
        var last = Settlement.allSucceeded(claims[2])
        if !besideALineThatIsFreed { last = last.takePart() }
        let settlements = [
            try await database.makePart(of: claims[0]), try await database.makePart(of: claims[1]), last,
        ]
        let results = try await database.store.settle(settlements)
        let acquired = try #require(try await times(of: "acquired", jobs[3]).first)
        #expect(results == [.refused, .acquired(HoldReceipt(at: acquired)), .settled(hasMore: false)])
        #expect(try await database.history(of: "a") == ["acquired 1", "released 1"])
        #expect(try await database.store.find(jobs[0])?.state == .succeeded)
        #expect(try await database.store.find(jobs[1])?.state == .cancelled)
        #expect(try await database.store.find(jobs[4])?.state == .succeeded)
        var end = Settlement(of: claims[0])
        end.freesLine = true
        #expect(try await database.store.settle([end]) == [.settled(hasMore: false)])
        #expect(try await database.lines().map(\.key) == (besideALineThatIsFreed ? ["b"] : ["b", "c"]))
        #expect(try await isSound())
    }

    @Test
    func `what is recorded is a part of the true hold`() async throws {
        func now() async throws -> PostgresTimestamp {
            try #require(try await database.column(PostgresTimestamp.self, "select clock_timestamp()").first)
        }
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue(Array(repeating: "a", count: 51)).map(\.id)
        let claim = try #require(try await database.claim(for: worker).first)
        try await database.begin(claim.jobs[0], of: claim)
        for index in 0..<50 {
            let before = try await now()
            var settlement = Settlement(of: claim)
            settlement.record(LockEvent(.released, claim.jobs[index], of: claim, at: .now))
            settlement.acquired = Box(LockEvent(.acquired, claim.jobs[index + 1], of: claim, at: .now))
            let after = try await now()
            _ = try await database.store.settle([settlement])
            #expect(try await times(of: "released", jobs[index]).allSatisfy { $0 <= after })
            #expect(try await times(of: "acquired", jobs[index + 1]).allSatisfy { $0 >= before })
        }
        #expect(try await database.history().count == 101)
    }

    @Test
    func `of parts one that is locked waits, a stale one is refused, and the rest is settled`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a", "b", "b", "c", "c").map(\.id)
        let claims = try await database.claim(for: worker).sorted { $0.key < $1.key }
        var settlements: [Settlement] = []
        for claim in claims { settlements.append(try await database.makePart(of: claim)) }
        try await database.run("update holdfast.key_lines set held_by = null where lock_key = 'b'")
        let results = try await database.pool.withTransaction { [settlements] connection in
            // As a cancel does.
            for table in ["key_lines", "jobs"] {
                let sql = "select from holdfast.\(table) where lock_key = 'a' for update"
                _ = try await connection.execute(Statement(name: "lock", sql: sql, isPrepared: false))
            }
            return try await database.store.settle(settlements)
        }
        let acquired = try #require(try await times(of: "acquired", jobs[5]).first)
        #expect(results == [.busy, .stale, .acquired(HoldReceipt(at: acquired))])
        #expect(try await database.history(of: "a") == ["acquired 1"])
        #expect(try await database.history(of: "b") == ["acquired 1", "released 1", "refused 1"])
        #expect(try await database.history(of: "c") == ["acquired 1", "released 1", "acquired 1"])
        #expect(try await database.finished() == [jobs[4]])
        let again = try await database.store.settle([settlements[0]])
        #expect(again == [.acquired(HoldReceipt(at: try #require(try await times(of: "acquired", jobs[1]).first)))])
        #expect(Set(try await database.finished()) == [jobs[0], jobs[4]])
    }

    @Test
    func `what a frozen server reads once it has been given up and settled again changes nothing`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a").map(\.id)
        let claim = try #require(try await database.claim(for: worker).first)
        var part = try await database.makePart(of: claim)
        let pool = PostgresPool(configuration: try database.configuration(), size: 1, logger: .quiet)
        defer { pool.close() }
        let hasty = JobStore(pool: pool, deadline: .milliseconds(200))
        // Prepares the statement, and reads the clock.
        #expect(try await hasty.settle([Settlement(of: claim)]) == [.settled(hasMore: false)])
        let backend = try await pool.withConnection { $0.backendID }
        kill(backend, SIGSTOP)
        defer { kill(backend, SIGCONT) }
        await #expect(throws: PostgresError.self) { _ = try await hasty.settle([part]) }
        part.acquired = nil
        #expect(try await database.store.settle([part], .inDoubt) == [.settled(hasMore: false)])
        kill(backend, SIGCONT)
        while try await database.int("select count(*) from pg_stat_activity where pid = \(backend)") > 0 {}
        #expect(try await database.history() == ["acquired 1", "released 1"])
        #expect(try await database.finished() == [jobs[0]])
    }

    @Test
    func `under a stale claim nothing is begun`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a").map(\.id)
        let claim = try #require(try await database.claim(for: worker).first)
        let settlement = try await database.makePart(of: claim)
        try await database.bury(worker)
        #expect(try await WorkerRegistry(pool: database.pool).rescue().map(\.key.text) == ["a"])
        #expect(try await database.store.settle([settlement]) == [.stale])
        #expect(try await times(of: "acquired", jobs[1]) == [])
        #expect(try await times(of: "refused", jobs[0]).count == 1)
        #expect(try await database.unfinished() == jobs)
        #expect(try await isSound())
    }
}
