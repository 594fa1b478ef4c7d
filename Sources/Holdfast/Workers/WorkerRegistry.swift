package import Postgres
package import Redlock

/// The workers that there are, and what any of them does to keep the queue in order.
///
/// There is no leader: each of these is safe with any number of callers at once.
package struct WorkerRegistry: Sendable {
    /// How often a worker moves its beat on.
    package static let heartbeatInterval: Duration = .seconds(1)

    private let pool: PostgresPool

    package init(pool: PostgresPool) { self.pool = pool }

    /// A number for a new worker process.
    package func nextID() async throws -> WorkerID {
        WorkerID(try await pool.execute(WorkerStatements.nextID)[0].decode(Int64.self, at: 0))
    }

    /// What a worker shows of itself.
    package struct Description: Sendable {
        /// What people call it.
        package var name: String
        /// Those that it claims from.
        package var queues: [String]
        /// The kinds of job that it has a handler for.
        package var kinds: [String]
        /// How many tasks it runs at once.
        package var slots: Int
        /// The lock nodes that have no vote, each with why.
        package var nodesWithoutVote: [String]
        /// The kinds of which it begins no job now.
        package var heldUpKinds: [String]
        /// Why that is, in words.
        package var troubles: [String]
        /// What the nodes should be told otherwise that it uses, in words.
        package var nodeWarnings: [String]
        /// By what its lock nodes are known, under whatever names, in order; empty while that is not known.
        package var lockNodes: [String]

        package init(
            name: String,
            queues: [String],
            kinds: [String],
            slots: Int,
            nodesWithoutVote: [String] = [],
            heldUpKinds: [String] = [],
            troubles: [String] = [],
            nodeWarnings: [String] = [],
            lockNodes: [String] = []
        ) {
            self.name = name
            self.queues = queues
            self.kinds = kinds
            self.slots = slots
            self.nodesWithoutVote = nodesWithoutVote
            self.heldUpKinds = heldUpKinds
            self.troubles = troubles
            self.nodeWarnings = nodeWarnings
            self.lockNodes = lockNodes
        }
    }

    /// What a worker learns from its heartbeat.
    package struct Pulse: Sendable, Equatable {
        /// The beats of the other workers.
        package let beats: [WorkerID: Int64]
        /// Whether there are lines of workers that are dead or gone.
        package let hasOrphans: Bool
        /// The workers whose lock nodes are others.
        package var otherLockNodes: [WorkerID] = []
    }

    /// Registers a worker, or moves its beat on.
    ///
    /// - Parameters:
    ///   - worker: Its number.
    ///   - description: What it shows of itself.
    ///   - limit: How long that may take.
    /// - Returns: What it learns.
    /// - Throws: `PostgresError`.
    @discardableResult
    package func heartbeat(
        _ worker: WorkerID,
        _ description: Description,
        within limit: Duration = .seconds(2)
    ) async throws -> Pulse {
        let rows = try await pool.execute(
            WorkerStatements.heartbeat,
            [
                .int64(worker.rawValue), .text(description.name), .texts(description.queues), .texts(description.kinds),
                .int32(Int32(clamping: description.slots)), .texts(description.nodesWithoutVote),
                .texts(description.heldUpKinds), .texts(description.troubles),
                .texts(description.nodeWarnings), .texts(description.lockNodes),
            ],
            within: limit
        )
        var beats: [WorkerID: Int64] = [:]
        var strangers: [WorkerID] = []
        for row in rows {
            guard let id = try row.decodeIfPresent(Int64.self, at: 0) else { continue }
            beats[WorkerID(id)] = try row.decode(Int64.self, at: 1)
            if try row.decode(Bool.self, at: 3) { strangers.append(WorkerID(id)) }
        }
        return Pulse(beats: beats, hasOrphans: try rows[0].decode(Bool.self, at: 2), otherLockNodes: strangers)
    }

    /// Takes a worker off the list that ends in order.
    package func leave(_ worker: WorkerID) async throws {
        _ = try await pool.execute(WorkerStatements.leave, [.int64(worker.rawValue)], within: .seconds(4))
    }

    /// Takes workers off the list whose beats have stood still, unless they have moved on since.
    ///
    /// - Returns: Those that are off the list now, with their names.
    package func bury(_ workers: [WorkerID: Int64]) async throws -> [(id: WorkerID, name: String)] {
        let dead = Array(workers)
        return try await pool.execute(
            WorkerStatements.bury,
            [.int64s(dead.map(\.key.rawValue)), .int64s(dead.map(\.value))],
            within: .seconds(2)
        ).map { (WorkerID(try $0.decode(Int64.self, at: 0)), try $0.decode(String.self, at: 1)) }
    }

    /// Puts lines of workers that are not on the list back in their queues: of each 1,000 at most.
    ///
    /// - Returns: The keys of those lines, and the queues that they are in now.
    package func rescue() async throws -> [(key: LockKey, queue: String)] {
        try await makingPartitions(on: pool) {
            try await pool.execute(WorkerStatements.rescue, [], within: .seconds(10))
        }.map {
            (LockKey(stored: try $0.decode(String.self, at: 0)), try $0.decode(String.self, at: 1))
        }
    }

    /// Gives back the lines that a worker holds besides those of the claims that it runs.
    ///
    /// - Returns: How many.
    package func giveUp(_ worker: WorkerID, except claims: [Fence]) async throws -> Int {
        try await pool.execute(
            WorkerStatements.giveUpOthers,
            [.int64(worker.rawValue), .int64s(claims.map(\.rawValue))]
        ).count
    }

    /// What a promotion has let in.
    package struct Promotion: Sendable {
        /// The queues that have something ready.
        package var queues: Set<String> = []
        /// Since when lines were due that waited.
        package var lines: [PostgresTimestamp] = []
        /// Since when jobs were due that joined their lines: the first of them.
        package var jobs: [PostgresTimestamp] = []

        /// Whether nothing was due, or another worker saw to it.
        package var isEmpty: Bool { lines.isEmpty && jobs.isEmpty }
    }

    /// Lets in what is due: lines that waited, and jobs that are to join their lines.
    ///
    /// - Parameters:
    ///   - lines: Lines that are due since then, or later.
    ///   - jobs: Jobs likewise.
    ///   - limit: The most of each.
    /// - Returns: What was let in; nothing when another worker sees to it at this moment.
    /// - Throws: `PostgresError`.
    package func promote(
        linesSince lines: PostgresTimestamp,
        jobsSince jobs: PostgresTimestamp,
        limit: Int
    ) async throws -> Promotion {
        var promotion = Promotion()
        for row in try await pool.execute(
            WorkerStatements.promote,
            [.timestamp(lines), .timestamp(jobs), .int32(Int32(limit))]
        ) {
            if let queue = try row.decodeIfPresent(String.self, at: 0) { promotion.queues.insert(queue) }
            if let line = try row.decodeIfPresent(PostgresTimestamp.self, at: 1) { promotion.lines.append(line) }
            if let job = try row.decodeIfPresent(PostgresTimestamp.self, at: 2) { promotion.jobs.append(job) }
        }
        return promotion
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

    /// The kinds of lines that have been ready for a while, and that no live worker takes.
    ///
    /// - Parameter worker: Of several workers one tells of them: the others, having higher numbers, get none.
    /// - Returns: 20 at most.
    /// - Throws: `PostgresError`.
    package func unservedKinds(toBeToldBy worker: WorkerID) async throws -> [UnservedKind] {
        try await pool.execute(WorkerStatements.unservedKinds, [.int64(worker.rawValue)]).map {
            UnservedKind(queue: try $0.decode(String.self, at: 0), kind: try $0.decode(String.self, at: 1))
        }
    }

    /// Counts the jobs of queues that have got a limit.
    package func countQueues() async throws {
        _ = try await pool.execute(WorkerStatements.countQueues, [], within: .seconds(60))
    }

    /// Makes the partitions of the next days.
    package func makePartitions() async throws { _ = try await pool.execute(WorkerStatements.makePartitions) }

    /// Forgets idempotency keys that have expired, 5,000 at most.
    ///
    /// - Returns: Whether there may be more.
    package func expireKeys() async throws -> Bool {
        try await pool.execute(WorkerStatements.expireKeys).affected == WorkerStatements.expiryLimit
    }

    /// Drops a partition past retention: each in a transaction of its own, as its table is locked until that ends.
    ///
    /// - Returns: Its name; `nil` when there is none left.
    /// - Throws: `PostgresError`; one that ``PostgresError/isLockTimeout`` says who uses what is to be dropped.
    package func dropPartition(_ retention: Retention) async throws -> String? {
        try await pool.execute(
            WorkerStatements.dropPartitions,
            [.int32(retention.finishedDays), .int32(retention.historyDays)]
        ).first.map { try $0.decode(String.self, at: 0) }
    }
}

/// A kind of job that waits in a queue and that no live worker takes.
package struct UnservedKind: Sendable, Hashable {
    package let queue: String
    package let kind: String

    package init(queue: String, kind: String) {
        self.queue = queue
        self.kind = kind
    }
}
