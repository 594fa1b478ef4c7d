import Holdfast
import Logging
import Postgres
import Redlock

/// What is done to a job by way of the database, with all that it takes to write parameters and to read rows.
struct StoreParts {
    private let pool: PostgresPool
    private let worker: WorkerID

    private var store: JobStore { JobStore(pool: pool, deadline: .seconds(300)) }

    static func run(on url: String) async throws {
        let configuration = try PostgresConfiguration(connectionString: url, applicationName: "hot path")
        let pool = PostgresPool(
            configuration: configuration,
            size: 2,
            logger: Logger(label: "hot path") { _ in SwiftLogNoOpLogHandler() }
        )
        defer { pool.close() }
        let worker = try await WorkerRegistry(pool: pool).nextID()
        _ = try await pool.execute(
            Statement(
                name: "hot_path_worker",
                sql: """
                    insert into holdfast.workers (id, name, queues, slots)
                    values ($1, 'hot path', array['default'], 8)
                    """,
                isPrepared: false
            ),
            [.int64(worker.rawValue)]
        )
        let parts = StoreParts(pool: pool, worker: worker)
        for count in HotPath.counts { try await parts.run(count) }
    }

    private func run(_ count: Int) async throws {
        let jobs = try (0..<count).map { try NewJob(key: "\(count)-\(1000 + $0)", value: "value", durationMs: 0) }
        HotPath.began()
        _ = try await store.enqueue(jobs)
        HotPath.ended("store a job", count)
        var floors = ClaimFloors()
        HotPath.began()
        let claims = try await store.claim(
            for: worker,
            queues: ["default"],
            kinds: [LockAndSet.kind],
            limit: count,
            runLimit: 64,
            floors: &floors
        )
        HotPath.ended("claim a job", count)
        precondition(claims.count == count, "\(claims.count) claims of \(count)")
        let history = LockHistory(store: store)
        HotPath.began()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for claim in claims {
                group.addTask { _ = try await history.append(event(.acquired, of: claim)) }
            }
            try await group.waitForAll()
        }
        HotPath.ended("record a hold", count)
        HotPath.began()
        let settlements = claims.map { claim in
            var settlement = Settlement(of: claim)
            settlement.record(event(.released, of: claim))
            settlement.finish(claim.jobs[0], .succeeded)
            settlement.freesLine = true
            return settlement
        }
        let results = try await store.settle(settlements)
        HotPath.ended("settle a job", count)
        precondition(results.allSatisfy { $0 == .settled(hasMore: false) }, "\(results)")
    }

    private func event(_ kind: LockEvent.Kind, of claim: Claim) -> LockEvent {
        var event = LockEvent(kind, claim.jobs[0], of: claim, at: .now)
        event.token = HotPath.token
        event.votes = (1...3).map { Vote(node: "redis-\($0):6379", verdict: .granted, latency: .microseconds(345)) }
        event.validity = .milliseconds(19_797)
        event.held = .microseconds(1234)
        return event
    }
}
