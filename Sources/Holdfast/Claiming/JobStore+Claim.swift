import Postgres
import Redlock

extension JobStore {
    /// A run ends with the job whose value fills so many bytes: a worker keeps all values of its claims in memory.
    private static let runBytes = 64 << 10

    /// Claims lines that are free and ready, and a run of jobs from the head of each.
    ///
    /// - Parameters:
    ///   - worker: Who claims; without a valid lease it gets nothing.
    ///   - queues: From which queues.
    ///   - limit: The most lines.
    ///   - runLimit: The most jobs of one line.
    ///   - floors: Of the worker's claims so far; taken on.
    ///   - now: On the monotonic clock by which floors are kept.
    /// - Returns: The claims, the best priority and the longest ready first; a line that turned out to be empty has no
    ///   jobs, and is to be settled like the others.
    /// - Throws: `PostgresError`.
    package func claim(
        for worker: WorkerID,
        queues: [String],
        limit: Int,
        runLimit: Int,
        floors: inout ClaimFloors,
        at now: ContinuousClock.Instant = .now
    ) async throws -> [Claim] {
        let start = ContinuousClock.now
        let looks = floors.next(queues, at: now)
        let places: [Parameter] = [
            .texts(looks.map(\.queue)), .int32s(looks.map { Int32($0.priority) }), .timestamps(looks.map(\.floor)),
        ]
        // An idle worker asks one question, and not for a transaction.
        if floors.wasEmpty {
            let isAnyReady = try await pool.execute(
                QueueStatements.isAnyReady,
                places,
                within: deadline
            )[0].decode(Bool.self, at: 0)
            guard isAnyReady else {
                floors.claimed([], at: now.advanced(by: start.duration(to: .now)))
                return []
            }
        }
        let claimLines = BoundStatement(
            QueueStatements.claimLines,
            [.int64(worker.rawValue)] + places + [.int(limit)]
        )
        let (claims, readyTimes) = try await pool.withTransaction(
            startingWith: [claimLines],
            within: deadline
        ) { connection, first in
            let readyRows = try first[0].map { row in
                (
                    queue: try row.decode(String.self, at: 3), priority: try row.decode(Int.self, at: 4),
                    readyAt: try row.decode(PostgresTimestamp.self, at: 5), row: row
                )
            }
            // An update returns its rows in no order of ours.
            let lines = readyRows.sorted { ($0.priority, $0.readyAt) < ($1.priority, $1.readyAt) }
            let keys = try lines.map { try $0.row.decode(String.self, at: 0) }
            let heads = try lines.map { try $0.row.decode(Int64.self, at: 2) }
            var runs = [[ClaimedJob]](repeating: [], count: lines.count)
            if !lines.isEmpty {
                let readRuns = BoundStatement(
                    QueueStatements.readRuns,
                    [.texts(keys), .int64s(heads), .texts(lines.map(\.queue)), .int(runLimit), .int(Self.runBytes)]
                )
                for row in try await connection.commit(after: [readRuns], within: deadline)[0] {
                    runs[try row.decode(Int.self, at: 0) - 1].append(try .read(row))
                }
            }
            let claims = try lines.indices.map { index in
                let line = lines[index].row
                return Claim(
                    key: LockKey(stored: keys[index]),
                    worker: worker,
                    fence: Fence(try line.decode(Int64.self, at: 1)),
                    headPlace: heads[index],
                    queue: lines[index].queue,
                    jobs: runs[index],
                    waited: try line.decodeIfPresent(Int64.self, at: 6).map(Duration.microseconds),
                    wasReady: .microseconds(try line.decode(Int64.self, at: 7))
                )
            }
            return (claims, lines.map { (queue: $0.queue, priority: $0.priority, readyAt: $0.readyAt) })
        }
        floors.claimed(readyTimes, at: now.advanced(by: start.duration(to: .now)))
        return claims
    }
}

extension ClaimedJob {
    /// Reads a row of ``QueueStatements/readRuns``.
    fileprivate static func read(_ row: Row) throws(PostgresError) -> ClaimedJob {
        ClaimedJob(
            id: JobID(try row.decode(Int64.self, at: 1)),
            fence: Fence(try row.decode(Int64.self, at: 3)),
            kind: try row.decode(String.self, at: 4),
            value: try row.decode(String.self, at: 5),
            duration: .milliseconds(try row.decode(Int.self, at: 6)),
            lockTTL: .milliseconds(try row.decode(Int.self, at: 7)),
            attempt: try row.decode(Int.self, at: 8) + 1,
            maxAttempts: try row.decode(Int.self, at: 9),
            timeout: try row.decodeIfPresent(Int.self, at: 10).map { .milliseconds($0) },
            metadata: try row.decodeIfPresent(String.self, at: 11),
            traceparent: try row.decodeIfPresent(String.self, at: 12),
            isCancelled: try row.decode(Bool.self, at: 13),
            place: try row.decode(Int64.self, at: 2)
        )
    }
}
