import Postgres
import Redlock

extension JobStore {
    /// How a settle is to be made.
    package enum SettleManner: Sendable {
        /// Lines that somebody has locked are passed over.
        case usual
        /// As usual; and an earlier call with the same may have been committed: it got no answer.
        case inDoubt
        /// A lone settlement queues for its line, for 100 ms.
        case waiting
    }

    /// Records what became of claims of one worker, in one call.
    ///
    /// - Parameters:
    ///   - settlements: At most one for each claim.
    ///   - manner: How it is to be made.
    /// - Returns: A result for each settlement, in the same order.
    /// - Throws: `PostgresError`; nothing is recorded then, unless it was the commit that got no answer.
    package func settle(
        _ settlements: [Settlement],
        _ manner: SettleManner = .usual
    ) async throws -> [SettlementResult] {
        guard let first = settlements.first else { return [] }
        var batch = SettleBatch(of: first.claim.worker)
        for settlement in settlements { batch.append(settlement) }
        batch.isInDoubt = manner == .inDoubt
        batch.waits = manner == .waiting
        do {
            return try await settle(batch)
        } catch let error as PostgresError where manner == .waiting && error.isLockTimeout {
            return Array(repeating: .busy, count: settlements.count)
        }
    }

    /// Records that jobs have their locks, of claims of one worker that still have their lines.
    ///
    /// - Parameter events: Acquisitions, each of another claim.
    /// - Returns: Each hold, as recorded; `nil` for one whose line is the claim's no more, or whose job was cancelled.
    /// - Throws: `PostgresError`; nothing is recorded then, unless it was the commit that got no answer.
    package func begin(_ events: [Box<LockEvent>]) async throws -> [HoldReceipt?] {
        var starts = [HoldReceipt?](repeating: nil, count: events.count)
        var open = Array(events.indices)
        var pause: Duration = .milliseconds(1)
        let end = ContinuousClock.now.advanced(by: deadline)
        while let first = open.first {
            var batch = SettleBatch(of: events[first].value.worker)
            for index in open { batch.append(acquired: events[index]) }
            let results = try await settle(batch)
            for (index, result) in zip(open, results) {
                if case .acquired(let hold) = result { starts[index] = hold }
            }
            open = zip(open, results).filter { $0.1 == .busy }.map(\.0)
            guard !open.isEmpty else { break }
            // Somebody cancels a job of the line at this moment, or looks at it.
            guard ContinuousClock.now < end else {
                throw PostgresError(
                    .deadline,
                    "the line of key \(events[open[0]].value.key) is locked by another session"
                )
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(50))
        }
        return starts
    }

    private func settle(_ batch: SettleBatch) async throws -> [SettlementResult] {
        try await makingPartitions(on: pool) {
            try await pool.withConnection { try await settle(batch, on: $0) }
        }
    }

    private func settle(
        _ batch: SettleBatch,
        on connection: isolated PostgresConnection
    ) async throws -> [SettlementResult] {
        var batch = batch
        batch.take(try await connection.clock(within: deadline), deadline: deadline)
        let rows = try await connection.execute(
            SettleStatements.settle.statement,
            SettleStatements.settle.parameters(batch),
            within: deadline
        )
        var results = [SettlementResult](repeating: .busy, count: batch.lines.count)
        for row in rows {
            results[try row.decode(Int.self, at: 0) - 1] = try SettlementResult(row)
        }
        return results
    }
}

extension SettlementResult {
    /// Reads a row of a settle.
    fileprivate init(_ row: Row) throws(PostgresError) {
        switch try row.decode(String.self, at: 1) {
        case "settled": self = .settled(hasMore: false)
        case "freed": self = .settled(hasMore: true)
        case "acquired":
            self = .acquired(
                HoldReceipt(
                    at: try row.decode(PostgresTimestamp.self, at: 2),
                    gone: Set((try row.decodeIfPresent([Int64].self, at: 3) ?? []).map(JobID.init))
                )
            )
        case "refused": self = .refused
        case "stale": self = .stale
        default: self = .busy
        }
    }
}
