import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// How the statements that each job needs find their rows, those within the schema's functions too.
///
/// The server itself tells their plans, by its module auto_explain.
@Suite(.freshDatabase, .timeLimit(.minutes(5)))
struct PlanTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// Plans are kept: one made while a table is empty, or has few rows, is used when it has many, or many dead ones.
    @Test(arguments: [0, 100, 10_000])
    func `each finds lines by claim or turn, and jobs by line or id, whatever the statistics say`(count: Int)
        async throws
    {
        let plans = Plans(database: database)
        guard try await plans.areShown else { return }
        if count > 0 {
            _ = try await database.store.enqueue((0..<count).map { try NewJob(key: "k\($0)", value: "v") })
        }
        try await database.run("vacuum analyze holdfast.jobs")
        try await database.run("vacuum analyze holdfast.key_lines")
        // As a worker's sessions have it.
        let settings = ["enable_seqscan=off", "jit=off", "plan_cache_mode=force_generic_plan"]
        let scans = try await plans.scans(settings) { try await livesOfJobs(on: $0) }
        // What they may be asked by; other indexes lead over rows that are dead, or not wanted.
        let finders = [
            "key_lines": [
                "(queue =", "AND (fence =", "(held_by >", "(held_by =", "(due_at", "(lock_key =", "Tid Scan",
            ],
            "jobs": ["(lock_key =", "(id =", "(run_at", "Tid Scan"],
        ]
        var seen: Set<String> = []
        for scan in scans {
            guard let allowed = finders[scan.table] else { continue }
            seen.insert(scan.table)
            let isFound = allowed.contains { scan.condition.contains($0) || scan.node.contains($0) }
            #expect(isFound, "\(scan)")
            // A key leads over all dead versions of its line: what each job needs looks for the claim's number, or a turn.
            let isOfEachJob = ["worker", "l_fences", "p.floor"].contains { scan.statement.contains($0) }
            #expect(!isOfEachJob || !scan.condition.contains("(lock_key =") || scan.table == "jobs", "\(scan)")
        }
        #expect(seen == ["key_lines", "jobs"])
    }

    /// Jobs come, run and end in all ways.
    private func livesOfJobs(on pool: PostgresPool) async throws {
        let store = JobStore(pool: pool)
        let registry = WorkerRegistry(pool: pool)
        let worker = try await registry.nextID()
        let description = WorkerRegistry.Description(name: "w", queues: ["plan"], kinds: ["plan"], slots: 1)
        try await registry.heartbeat(worker, description)
        func jobs(_ key: String, _ count: Int) throws -> [NewJob] {
            try (0..<count).map { _ in
                var job = try NewJob(key: key, value: "v")
                (job.queue, job.kind, job.duration) = ("plan", "plan", .zero)
                return job
            }
        }
        _ = try await store.enqueue(try jobs("a", 3) + jobs("b", 1) + jobs("c", 1))
        _ = try await pool.execute(Statement(name: "s", sql: "select holdfast.submit('a', 'v')", isPrepared: false))
        _ = try await pool.execute(Statement(name: "s", sql: "select holdfast.submit('d', 'v')", isPrepared: false))
        _ = try await store.enqueue(try jobs("a", 1))
        _ = try await registry.promote(linesSince: .negativeInfinity, jobsSince: .negativeInfinity, limit: 1000)
        var floors = ClaimFloors()
        let claims = try await store.claim(
            for: worker,
            queues: ["plan"],
            kinds: ["plan"],
            limit: 100,
            runLimit: 100,
            floors: &floors
        ).sorted { $0.key < $1.key }
        try #require(claims.count == 3)
        _ = try await store.begin(claims.map { Box(LockEvent(.acquired, $0.jobs[0], of: $0, at: .now)) })
        var part = Settlement(of: claims[0])
        part.record(LockEvent(.released, claims[0].jobs[0], of: claims[0], at: .now))
        part.finish(claims[0].jobs[0], .succeeded)
        part.acquired = Box(LockEvent(.acquired, claims[0].jobs[1], of: claims[0], at: .now))
        _ = try await store.settle([part])
        var ends = claims.map { Settlement(of: $0) }
        ends[1].finish(claims[1].jobs[0], .succeeded)
        ends[2].retry(claims[2].jobs[0], error: "e", after: .seconds(60))
        for index in ends.indices { ends[index].freesLine = true }
        _ = try await store.settle(Array(ends[1...]))
        _ = try await store.settle([ends[0]], .inDoubt)
        let again = try await store.claim(
            for: worker,
            queues: ["plan"],
            kinds: ["plan"],
            limit: 100,
            runLimit: 100,
            floors: &floors
        )
        try #require(!again.isEmpty)
        try await registry.store([], of: worker)
        _ = try await registry.giveUp(worker, except: [])
        try await registry.leave(worker)
        _ = try await registry.rescue()
    }
}
