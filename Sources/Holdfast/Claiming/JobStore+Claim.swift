import Postgres
import Redlock

extension JobStore {
    /// A run ends with the job whose value and metadata fill so many bytes: 256 KiB.
    private static let runBytes = 256 << 10
    /// The most bytes of jobs in one claim, unless its first job has more: 8 MiB.
    package static let claimBytes = 8 << 20

    /// Claims lines that are ready, and a run of jobs from the head of each.
    ///
    /// - Parameters:
    ///   - worker: Who claims; one that has not registered gets nothing.
    ///   - queues: From which queues.
    ///   - kinds: The kinds of job that it has handlers for.
    ///   - limit: The most lines.
    ///   - runLimit: The most jobs of one line.
    ///   - runDuration: A run ends with the job whose declared durations exceed this.
    ///   - bytes: The most bytes of jobs, but for the first.
    ///   - floors: Of the worker's claims so far; taken on.
    ///   - now: On the monotonic clock by which floors are kept.
    /// - Returns: The claims, the best priority and the lowest turn first; a line that turned out to have no job for this
    ///   worker has none, and is to be settled like the others.
    /// - Throws: `PostgresError`.
    package func claim(
        for worker: WorkerID,
        queues: [String],
        kinds: [String],
        limit: Int,
        runLimit: Int,
        runDuration: Duration = .seconds(1),
        bytes: Int = Self.claimBytes,
        floors: inout ClaimFloors,
        at now: ContinuousClock.Instant = .now
    ) async throws -> [Claim] {
        let start = ContinuousClock.now
        let request = QueueStatements.ClaimRequest(
            worker: worker,
            looks: floors.next(queues, kinds: kinds, at: now),
            kinds: kinds,
            limit: limit,
            runLimit: runLimit,
            runDuration: runDuration,
            runBytes: Self.runBytes,
            bytes: bytes
        )
        let rows = try await pool.execute(
            QueueStatements.claim.statement,
            QueueStatements.claim.parameters(request),
            within: deadline
        )
        var claims: [Claim] = []
        var turns: [(place: ClaimFloors.Place, turn: Int64)] = []
        var jobs: [ClaimedJob] = []
        for index in 0..<rows.count {
            let row = rows[index]
            let line = try row.decode(Int.self, at: 0)
            if try row.decodeIfPresent(Int64.self, at: 10) != nil { jobs.append(try .read(row)) }
            // The rows of a line follow each other.
            if index + 1 < rows.count, try rows[index + 1].decode(Int.self, at: 0) == line { continue }
            claims.append(try .read(row, of: worker, jobs))
            jobs = []
            let place = ClaimFloors.Place(
                queue: try row.decode(String.self, at: 4),
                kind: try row.decode(String.self, at: 5),
                priority: try row.decode(Int.self, at: 6)
            )
            turns.append((place, try row.decode(Int64.self, at: 7)))
        }
        floors.claimed(turns, at: now.advanced(by: start.duration(to: .now)))
        return claims
    }
}

extension Claim {
    /// Reads what the rows of a line have in common.
    fileprivate static func read(_ row: Row, of worker: WorkerID, _ jobs: [ClaimedJob]) throws(PostgresError) -> Claim {
        Claim(
            key: LockKey(stored: try row.decode(String.self, at: 1)),
            worker: worker,
            fence: Fence(try row.decode(Int64.self, at: 2)),
            headPlace: try row.decode(Int64.self, at: 3),
            queue: try row.decode(String.self, at: 4),
            jobs: jobs,
            waited: try row.decodeIfPresent(Int64.self, at: 8).map(Duration.microseconds),
            wasReady: .microseconds(try row.decode(Int64.self, at: 9))
        )
    }
}

extension ClaimedJob {
    /// Reads a row of a claim.
    fileprivate static func read(_ row: Row) throws(PostgresError) -> ClaimedJob {
        ClaimedJob(
            id: JobID(try row.decode(Int64.self, at: 10)),
            fence: Fence(try row.decode(Int64.self, at: 12)),
            kind: try row.decode(String.self, at: 13),
            value: try row.decode(String.self, at: 14),
            duration: .milliseconds(try row.decode(Int.self, at: 15)),
            lockTTL: .milliseconds(try row.decode(Int.self, at: 16)),
            attempt: try row.decode(Int.self, at: 17) + 1,
            maxAttempts: try row.decode(Int.self, at: 18),
            timeout: try row.decodeIfPresent(Int.self, at: 19).map { .milliseconds($0) },
            metadata: try row.decodeIfPresent(String.self, at: 20),
            traceparent: try row.decodeIfPresent(String.self, at: 21),
            isCancelled: try row.decode(Bool.self, at: 22),
            place: try row.decode(Int64.self, at: 11)
        )
    }
}
