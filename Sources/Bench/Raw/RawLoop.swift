import Holdfast
import Postgres
import Redlock

/// Jobs stored, claimed, recorded and settled in batches of 500 over one connection at a time, as a worker does, without
/// locks and tasks.
struct RawLoop: Sendable {
    /// What jobs cost, in microseconds a job.
    struct Cost: Sendable {
        var claim = 0.0
        var record = 0.0
        var settle = 0.0

        /// Jobs a second.
        var rate: Double { 1_000_000 / (claim + record + settle) }
    }

    static let batch = 500

    let database: BenchDatabase
    /// The most jobs of one key in one claim.
    var runLimit = 1
    /// What the nodes are said to have answered, in each event.
    var votes: [Vote] = []

    /// Stores so many jobs, the keys in turn.
    ///
    /// - Returns: How many were stored a second.
    func store(_ jobs: Int, keys: Int) async throws -> Double {
        let start = ContinuousClock.now
        for batch in 0..<jobs / Self.batch {
            _ = try await database.store.enqueue(
                (0..<Self.batch).map { try NewJob(key: "key-\((batch * Self.batch + $0) % keys)", value: "v") }
            )
        }
        return Double(jobs) / start.duration(to: .now).seconds
    }

    /// Claims and settles so many jobs, or as many as there are.
    func settle(_ jobs: Int) async throws -> Cost {
        let clock = ContinuousClock()
        var times = (claim: Duration.zero, record: Duration.zero, settle: Duration.zero)
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        let history = LockHistory(pool: database.pool)
        var floors = ClaimFloors()
        var done = 0
        while done < jobs {
            try await registry.heartbeat(worker, name: "bench", queues: ["default"], kinds: [], slots: Self.batch)
            let start = clock.now
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                limit: Self.batch,
                runLimit: runLimit,
                floors: &floors
            )
            guard !claims.isEmpty else { break }
            let claimed = clock.now
            let startedAt = try await withThrowingTaskGroup { group in
                for claim in claims {
                    for job in claim.jobs {
                        group.addTask { (job.id, try await history.append(event(.acquired, job, of: claim))) }
                    }
                }
                var times: [JobID: PostgresTimestamp] = [:]
                for try await (job, time) in group { times[job] = time }
                return times
            }
            let recorded = clock.now
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
            times.claim += start.duration(to: claimed)
            times.record += claimed.duration(to: recorded)
            times.settle += recorded.duration(to: clock.now)
        }
        let perJob = 1_000_000 / Double(max(done, 1))
        return Cost(
            claim: times.claim.seconds * perJob,
            record: times.record.seconds * perJob,
            settle: times.settle.seconds * perJob
        )
    }

    private func event(_ kind: LockEvent.Kind, _ job: ClaimedJob, of claim: Claim) -> LockEvent {
        var event = LockEvent(kind, job, of: claim, at: .now)
        event.votes = votes
        return event
    }
}
