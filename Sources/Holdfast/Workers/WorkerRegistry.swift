package import Postgres
package import Redlock

/// Workers' leases, and what their leader does with those that lapsed.
package struct WorkerRegistry: Sendable {
    /// A worker that is silent for so long has lost its lease.
    package static let leaseTerm: Duration = .seconds(4)
    /// How often a worker renews its lease, and the leader looks for those that lapsed.
    package static let heartbeatInterval: Duration = .seconds(1)

    private let pool: PostgresPool

    package init(pool: PostgresPool) { self.pool = pool }

    /// A number for a new worker process.
    package func nextID() async throws -> WorkerID {
        WorkerID(try await pool.execute(WorkerStatements.nextID)[0].decode(Int64.self, at: 0))
    }

    /// What a worker learns from its heartbeat.
    package struct Pulse: Sendable, Equatable {
        /// Whether it is the leader now.
        package let leads: Bool
        /// Whether it leads, and there are lines to be rescued.
        package let hasOrphans: Bool

        package init(leads: Bool = false, hasOrphans: Bool = false) {
            self.leads = leads
            self.hasOrphans = hasOrphans
        }
    }

    /// Registers a worker, or renews its lease; it becomes the leader, or goes on to be, unless another is.
    ///
    /// - Parameters:
    ///   - worker: Its number.
    ///   - name: What people call it.
    ///   - queues: Those that it claims from.
    ///   - kinds: The kinds of job that it has a handler for.
    ///   - slots: How many tasks it runs at once.
    ///   - nodesWithoutVote: The lock nodes that it is not connected to, or that are in quarantine.
    /// - Returns: What it learns.
    /// - Throws: `PostgresError`.
    @discardableResult
    package func heartbeat(
        _ worker: WorkerID,
        name: String,
        queues: [String],
        kinds: [String],
        slots: Int,
        nodesWithoutVote: [String] = []
    ) async throws -> Pulse {
        let row = try await pool.execute(
            WorkerStatements.heartbeat,
            [
                .int64(worker.rawValue), .text(name), .texts(queues), .texts(kinds), .int32(Int32(clamping: slots)),
                .int64(Self.leaseTerm.microseconds), .texts(nodesWithoutVote),
            ],
            within: Self.leaseTerm
        )[0]
        return Pulse(leads: try row.decode(Bool.self, at: 0), hasOrphans: try row.decode(Bool.self, at: 1))
    }

    /// Ends a worker's lease, and its term as leader.
    package func leave(_ worker: WorkerID) async throws {
        _ = try await pool.execute(WorkerStatements.leave, [.int64(worker.rawValue)], within: Self.leaseTerm)
    }

    /// Puts the lines of workers without a lease back in the queue.
    ///
    /// - Returns: The keys of those lines; one may come more than once.
    package func rescue() async throws -> [String] {
        try await pool.execute(WorkerStatements.rescue).map { try $0.decode(String.self, at: 0) }
    }

    /// Gives back the lines that a worker holds besides those of the claims that it runs.
    ///
    /// - Returns: How many.
    package func giveUp(_ worker: WorkerID, except claims: [Fence]) async throws -> Int {
        try await pool.execute(
            WorkerStatements.giveUpOthers,
            [.int64(worker.rawValue), .int64s(claims.map(\.rawValue))]
        ).affected
    }

    /// Lets jobs that are due join their lines.
    ///
    /// - Parameters:
    ///   - since: Those that are due since then, or later.
    ///   - limit: The most of them.
    /// - Returns: The queue of each that joined, and since when it was due.
    /// - Throws: `PostgresError`.
    package func joinLines(
        since: PostgresTimestamp,
        limit: Int
    ) async throws -> [(queue: String, dueAt: PostgresTimestamp)] {
        try await pool.execute(WorkerStatements.joinLines, [.timestamp(since), .int32(Int32(limit))]).map {
            (try $0.decode(String.self, at: 0), try $0.decode(PostgresTimestamp.self, at: 1))
        }
    }

    /// What operators ask of a worker.
    ///
    /// - Returns: The jobs that it runs and is to cancel, and the queues of which no job is to be started.
    package func orders(for worker: WorkerID) async throws -> (cancelledJobs: [JobID], pausedQueues: [String]) {
        let rows = try await pool.execute(WorkerStatements.orders, [.int64(worker.rawValue)])
        return (
            try rows.compactMap { try $0.decodeIfPresent(Int64.self, at: 0).map(JobID.init) },
            try rows.compactMap { try $0.decodeIfPresent(String.self, at: 1) }
        )
    }

    /// Stores what tasks of a worker said of their progress.
    package func store(_ reports: [TaskProgress], of worker: WorkerID) async throws {
        _ = try await pool.execute(
            WorkerStatements.progress,
            [
                .int64(worker.rawValue), .int64s(reports.map(\.job.rawValue)), .doubles(reports.map(\.part)),
                .optionalTexts(reports.map(\.note)),
            ]
        )
    }

    /// Seals history that is not sealed yet.
    ///
    /// - Parameter limit: About how many rows at most.
    /// - Returns: How many.
    /// - Throws: `PostgresError`.
    package func sealHistory(limit: Int = 20_000) async throws -> Int {
        try await pool.execute(WorkerStatements.sealHistory, [.int32(Int32(limit))])[0].decode(Int.self, at: 0)
    }

    /// Makes the partitions of the next days, drops those past retention, and forgets workers that are long gone and
    /// idempotency keys that have expired.
    ///
    /// - Returns: The partitions that were dropped.
    package func tidy(_ retention: Retention) async throws -> [String] {
        _ = try await pool.execute(WorkerStatements.makePartitions)
        _ = try await pool.execute(WorkerStatements.forget)
        while try await pool.execute(WorkerStatements.expireKeys).affected == WorkerStatements.expiryLimit {}
        return try await pool.execute(
            WorkerStatements.dropPartitions,
            [.int32(retention.finishedDays), .int32(retention.historyDays)]
        ).map { try $0.decode(String.self, at: 0) }
    }
}
