import Holdfast
import Postgres
import Redlock
import TestSupport

/// What the suites do with their database.
extension TestDatabase {
    /// Runs one statement of a test.
    @discardableResult
    func run(_ sql: String, _ parameters: [Parameter] = []) async throws -> Rows {
        try await pool.execute(Statement(name: "test", sql: sql, isPrepared: false), parameters)
    }

    /// The first column of all rows.
    func column<Value: PostgresDecodable>(
        _ type: Value.Type,
        _ sql: String,
        _ parameters: [Parameter] = []
    ) async throws -> [Value] {
        try await run(sql, parameters).map { try $0.decode(type, at: 0) }
    }

    /// The first column of the only row.
    func int(_ sql: String, _ parameters: [Parameter] = []) async throws -> Int {
        try await run(sql, parameters)[0].decode(Int.self, at: 0)
    }

    func isTrue(_ sql: String, _ parameters: [Parameter] = []) async throws -> Bool {
        try await run(sql, parameters)[0].decode(Bool.self, at: 0)
    }

    /// A new worker.
    func makeWorker() async throws -> WorkerID {
        let registry = WorkerRegistry(pool: pool)
        let worker = try await registry.nextID()
        try await registry.heartbeat(
            worker,
            .init(name: "test", queues: ["default"], kinds: [LockAndSet.kind], slots: 8)
        )
        return worker
    }

    /// Takes a worker off the list, as others do when it is dead.
    func bury(_ worker: WorkerID) async throws {
        try await run("delete from holdfast.workers where id = $1", [.int64(worker.rawValue)])
    }

    /// Stores jobs in one batch, one for each key; the value is the key and its place in the batch.
    @discardableResult
    func enqueue(_ keys: String...) async throws -> [JobReceipt] { try await enqueue(keys) }

    @discardableResult
    func enqueue(_ keys: [String]) async throws -> [JobReceipt] {
        try await store.enqueue(keys.enumerated().map { try NewJob(key: $1, value: "\($1)-\($0)") })
    }

    /// Claims what is ready, from the beginning.
    func claim(
        for worker: WorkerID,
        queues: [String] = ["default"],
        kinds: [String] = [LockAndSet.kind],
        limit: Int = 100,
        runLimit: Int = 100
    ) async throws -> [Claim] {
        var floors = ClaimFloors()
        return try await store.claim(
            for: worker,
            queues: queues,
            kinds: kinds,
            limit: limit,
            runLimit: runLimit,
            runDuration: .seconds(3600),
            floors: &floors
        )
    }

    /// Records that an attempt has its lock.
    @discardableResult
    func begin(_ job: ClaimedJob, of claim: Claim) async throws -> PostgresTimestamp {
        try await LockHistory(store: store).append(LockEvent(.acquired, job, of: claim, at: .now)).at
    }

    /// The end of a claim's first job, whose hold has begun, and the hold of its second one, from the same moment on.
    func makePart(of claim: Claim) async throws -> Settlement {
        let startedAt = try await begin(claim.jobs[0], of: claim)
        let moment = ContinuousClock.now
        var settlement = Settlement(of: claim)
        settlement.record(LockEvent(.released, claim.jobs[0], of: claim, at: moment))
        settlement.finish(claim.jobs[0], .succeeded, startedAt: startedAt)
        settlement.acquired = Box(LockEvent(.acquired, claim.jobs[1], of: claim, at: moment))
        return settlement
    }

    /// The lines, by key: who holds each, and its head.
    func lines() async throws -> [Line] {
        try await run("select lock_key, held_by, head_place from holdfast.key_lines order by lock_key collate \"C\"")
            .map {
                Line(
                    key: try $0.decode(String.self, at: 0),
                    holder: try $0.decodeIfPresent(Int64.self, at: 1).map(WorkerID.init),
                    head: JobID(try $0.decode(Int64.self, at: 2))
                )
            }
    }

    /// What is written of a key or of all, oldest first: event and attempt, as in `acquired 1`.
    func history(of key: String? = nil) async throws -> [String] {
        try await column(
            String.self,
            """
            select concat_ws(' ', event, attempt)
            from holdfast.lock_history
            where lock_key = coalesce($1, lock_key)
            order by id
            """,
            [.text(key)]
        )
    }

    /// Ids of unfinished jobs, in order.
    func unfinished() async throws -> [JobID] {
        try await column(Int64.self, "select id from holdfast.jobs order by id").map(JobID.init)
    }

    /// Ids of finished jobs, in the order in which they were finished.
    func finished() async throws -> [JobID] {
        try await column(Int64.self, "select id from holdfast.finished_jobs order by finished_at, id").map(JobID.init)
    }
}

/// A row of `key_lines`.
struct Line: Equatable {
    let key: String
    let holder: WorkerID?
    let head: JobID
}

extension Settlement {
    /// Notes a job as succeeded, and its lock as released.
    mutating func succeed(_ job: ClaimedJob) {
        record(LockEvent(.released, job, of: claim, at: .now))
        finish(job, .succeeded)
    }

    /// The settlement of a claim all of whose jobs succeeded.
    static func allSucceeded(_ claim: Claim) -> Settlement {
        var settlement = Settlement(of: claim)
        for job in claim.jobs { settlement.succeed(job) }
        settlement.freesLine = true
        return settlement
    }
}

/// The error that an operation throws.
func postgresError(_ operation: () async throws -> Void) async throws -> PostgresError? {
    do {
        try await operation()
        return nil
    } catch let error as PostgresError {
        return error
    }
}
