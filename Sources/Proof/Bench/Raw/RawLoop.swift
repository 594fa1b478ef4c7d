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
        let history = LockHistory(store: database.store)
        var done = 0
        while done < jobs {
            let claims = try await claim()
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

    /// Runs the jobs of one key, each after the one before: its lock is handed over, its hold recorded with the end of that
    /// one, and its value written.
    ///
    /// - Parameter nodes: For locks, and the first of them for values.
    /// - Returns: How long a job waited for each of the three on average, in ms.
    /// - Throws: ``LockError``, `PostgresError` or `RedisError`.
    mutating func runInTurn(on nodes: BenchNodes) async throws -> (lock: Double, commit: Double, write: Double) {
        let values = ValueStore(node: nodes.nodes[0].connection)
        var waits = (lock: Duration.zero, commit: Duration.zero, write: Duration.zero)
        var done = 0
        while let claim = try await claim().first {
            var settlement = Settlement(of: claim)
            var last: Hold?
            for job in claim.jobs {
                let start = ContinuousClock.now
                let hold = try await hold(for: job, of: claim, after: last, nodes.redlock)
                var part = settlement.takePart()
                var acquired = LockEvent(.acquired, job, of: claim, at: hold.acquiredAt)
                acquired.votes = hold.votes
                part.acquired = Box(acquired)
                let locked = ContinuousClock.now
                guard case .acquired(let receipt) = try await database.store.settle([part])[0] else {
                    throw LockError(.lost, keys: [claim.key], detail: "somebody else has the claim's line or its job")
                }
                let recorded = ContinuousClock.now
                _ = try await values.write(job.value, to: claim.key, fence: job.fence)
                waits.lock += start.duration(to: locked)
                waits.commit += locked.duration(to: recorded)
                waits.write += recorded.duration(to: .now)
                done += 1
                var released = LockEvent(.released, job, of: claim, at: .now)
                released.votes = hold.votes
                settlement.record(released)
                settlement.finish(job, .succeeded, startedAt: receipt.at)
                last = hold
            }
            if let last { await nodes.redlock.release(last) }
            settlement.freesLine = true
            _ = try await database.store.settle([settlement])
        }
        func mean(_ wait: Duration) -> Double { wait.seconds * 1000 / Double(max(done, 1)) }
        return (mean(waits.lock), mean(waits.commit), mean(waits.write))
    }

    private func hold(
        for job: ClaimedJob,
        of claim: Claim,
        after last: Hold?,
        _ redlock: Redlock
    ) async throws -> Hold {
        let token = "\(job.fence)"
        let acquisition =
            if let last { await redlock.handOver(last, token: token, ttl: job.lockTTL).next } else {
                await redlock.tryAcquire(claim.key, token: token, ttl: job.lockTTL)
            }
        guard case .granted(let hold) = acquisition else { throw LockError(.held, keys: [claim.key]) }
        return hold
    }

    private mutating func claim() async throws -> [Claim] {
        if ContinuousClock.now >= nextHeartbeat {
            let registry = WorkerRegistry(pool: database.pool)
            try await registry.heartbeat(
                worker,
                .init(name: "bench", queues: ["default"], kinds: [LockAndSet.kind], slots: Self.batch)
            )
            nextHeartbeat = .now + WorkerRegistry.heartbeatInterval
        }
        return try await database.store.claim(
            for: worker,
            queues: ["default"],
            kinds: [LockAndSet.kind],
            limit: Self.batch,
            runLimit: runLimit,
            floors: &floors
        )
    }

    /// - Returns: When each job was started, as recorded.
    private func record(_ claims: [Claim], in history: LockHistory) async throws -> [JobID: PostgresTimestamp] {
        try await withThrowingTaskGroup { group in
            for claim in claims {
                for job in claim.jobs {
                    group.addTask { (job.id, try await history.append(event(.acquired, job, of: claim)).at) }
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
