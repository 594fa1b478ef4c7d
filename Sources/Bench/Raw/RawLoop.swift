import Holdfast
import Postgres
import Redlock

/// Jobs claimed, recorded and settled in batches of 500 over one connection at a time, as a worker does, without locks and
/// tasks.
struct RawLoop: Sendable {
    static let batch = 500

    private let database: BenchDatabase
    private let runLimit: Int
    private let votes: [Vote]
    private let worker: WorkerID
    private var floors = ClaimFloors()
    private var nextHeartbeat = ContinuousClock.now

    /// - Parameters:
    ///   - database: Where the jobs are.
    ///   - runLimit: The most jobs of one key in one claim.
    ///   - votes: What the nodes are said to have answered, in each event.
    /// - Throws: `PostgresError`.
    init(_ database: BenchDatabase, runLimit: Int, votes: [Vote] = []) async throws {
        self.database = database
        self.runLimit = runLimit
        self.votes = votes
        worker = try await WorkerRegistry(pool: database.pool).nextID()
    }

    /// Claims and settles so many jobs, or as many as there are.
    ///
    /// - Returns: Jobs a second.
    @discardableResult
    mutating func settle(_ jobs: Int) async throws -> Double {
        let start = ContinuousClock.now
        let registry = WorkerRegistry(pool: database.pool)
        let history = LockHistory(pool: database.pool)
        var done = 0
        while done < jobs {
            if ContinuousClock.now >= nextHeartbeat {
                try await registry.heartbeat(worker, name: "bench", queues: ["default"], kinds: [], slots: Self.batch)
                nextHeartbeat = .now + WorkerRegistry.heartbeatInterval
            }
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                limit: Self.batch,
                runLimit: runLimit,
                floors: &floors
            )
            guard !claims.isEmpty else { break }
            let startedAt = try await record(claims, in: history)
            var settlements: [Settlement] = []
            for claim in claims {
                var settlement = Settlement(of: claim)
                for job in claim.jobs {
                    settlement.record(event(.released, job, of: claim))
                    settlement.finish(job, .succeeded, startedAt: startedAt[job.id])
                    done += 1
                }
                settlement.freesLine = true
                settlements.append(settlement)
            }
            while !settlements.isEmpty {
                let results = try await database.store.settle(settlements)
                settlements = zip(settlements, results).filter { $1 == .busy }.map(\.0)
            }
        }
        return Double(done) / start.duration(to: .now).seconds
    }

    /// - Returns: When each job was started, as recorded.
    private func record(_ claims: [Claim], in history: LockHistory) async throws -> [JobID: PostgresTimestamp] {
        try await withThrowingTaskGroup { group in
            for claim in claims {
                for job in claim.jobs {
                    group.addTask { (job.id, try await history.append(event(.acquired, job, of: claim))) }
                }
            }
            var times: [JobID: PostgresTimestamp] = [:]
            for try await (job, time) in group { times[job] = time }
            return times
        }
    }

    private func event(_ kind: LockEvent.Kind, _ job: ClaimedJob, of claim: Claim) -> LockEvent {
        var event = LockEvent(kind, job, of: claim, at: .now)
        event.votes = votes
        return event
    }
}
