import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// The hold of a run's next job, which is recorded with the end of the one before it.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct NextHoldTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// The end of a claim's first job, whose hold has begun, and the hold of its second one, from the same moment on.
    private func makeSettlement(of claim: Claim) async throws -> Settlement {
        let startedAt = try await database.begin(claim.jobs[0], of: claim)
        let moment = ContinuousClock.now
        var settlement = Settlement(of: claim)
        settlement.record(LockEvent(.released, claim.jobs[0], of: claim, at: moment))
        settlement.finish(claim.jobs[0], .succeeded, startedAt: startedAt)
        settlement.acquired = Box(LockEvent(.acquired, claim.jobs[1], of: claim, at: moment))
        return settlement
    }

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
        let results = try await database.store.settle([makeSettlement(of: claim)])
        let released = try #require(try await times(of: "released", jobs[0]).first)
        let acquired = try #require(try await times(of: "acquired", jobs[1]).first)
        #expect(results == [.acquired(at: acquired)])
        #expect(released <= acquired)
        #expect(try await database.history() == ["acquired 1", "released 1", "acquired 1"])
        #expect(try await database.store.find(jobs[0])?.state == .succeeded)
        #expect(try await database.store.find(jobs[1])?.state == .running)
        #expect(try await database.lines().map(\.holder) == [worker])
        #expect(try await database.unfinished() == [jobs[1], jobs[2]])
    }

    @Test
    func `of a job that was cancelled meanwhile it is refused, and the rest of the batch is settled`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a", "b", "b", "c").map(\.id)
        let claims = try await database.claim(for: worker).sorted { $0.key < $1.key }
        try await cancel(jobs[1])
        let settlements = [
            try await makeSettlement(of: claims[0]), try await makeSettlement(of: claims[1]), .allSucceeded(claims[2]),
        ]
        let results = try await database.store.settle(settlements)
        let acquired = try #require(try await times(of: "acquired", jobs[3]).first)
        #expect(results == [.refused, .acquired(at: acquired), .settled(hasMore: false)])
        #expect(try await database.history(of: "a") == ["acquired 1", "released 1"])
        #expect(try await database.store.find(jobs[0])?.state == .succeeded)
        #expect(try await database.store.find(jobs[1])?.state == .cancelled)
        var last = Settlement(of: claims[0])
        last.freesLine = true
        #expect(try await database.store.settle([last]) == [.settled(hasMore: false)])
        #expect(try await database.lines().map(\.key) == ["b"])
        #expect(try await isSound())
    }

    @Test
    func `under a stale claim nothing is begun`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try await database.enqueue("a", "a").map(\.id)
        let claim = try #require(try await database.claim(for: worker).first)
        let settlement = try await makeSettlement(of: claim)
        try await database.endLease(of: worker)
        #expect(try await WorkerRegistry(pool: database.pool).rescue() == ["a"])
        #expect(try await database.store.settle([settlement]) == [.stale])
        #expect(try await times(of: "acquired", jobs[1]) == [])
        #expect(try await times(of: "refused", jobs[0]).count == 1)
        #expect(try await database.unfinished() == jobs)
        #expect(try await isSound())
    }
}
