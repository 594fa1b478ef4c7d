import Holdfast
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct GiveUpTests {
    private var database: TestDatabase { FreshDatabase.current }

    @Test
    func `a worker gives back what it holds and does not run, and nothing starts under that claim`() async throws {
        let worker = try await database.makeWorker()
        let other = try await database.makeWorker()
        _ = try await database.store.enqueue(["a", "b", "c"].map { try NewJob(key: $0, value: "v") })
        let claims = try await database.claim(for: worker, limit: 2)
        let foreign = try await database.claim(for: other, limit: 1)
        try #require(claims.count == 2 && foreign.count == 1)
        let given = try await WorkerRegistry(pool: database.pool).giveUp(worker, except: [claims[0].fence])
        #expect(given == 1)
        let free = try await database.column(
            String.self,
            "select lock_key from holdfast.key_lines where held_by is null"
        )
        #expect(free == [claims[1].key.text])

        let history = LockHistory(store: database.store)
        _ = try await history.append(LockEvent(.acquired, claims[0].jobs[0], of: claims[0], at: .now))
        await #expect(throws: StaleClaim.self) {
            try await history.append(LockEvent(.acquired, claims[1].jobs[0], of: claims[1], at: .now))
        }
        let recorded = try await database.column(String.self, "select lock_key from holdfast.lock_history")
        #expect(recorded == [claims[0].key.text])
    }

    @Test
    func `a run ends with the job whose value fills it`() async throws {
        let worker = try await database.makeWorker()
        let large = String(repeating: "x", count: 200_000)
        _ = try await database.store.enqueue((0..<5).map { _ in try NewJob(key: "a", value: large) })
        let claim = try #require(try await database.claim(for: worker, runLimit: 10).first)
        #expect(claim.jobs.count == 2)
    }
}
