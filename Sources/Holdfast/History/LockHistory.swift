package import Postgres

/// Writes the lock history ahead of what it tells.
package struct LockHistory: Sendable {
    private let batches: GroupCommit<LockEvent, PostgresTimestamp>

    /// - Parameters:
    ///   - pool: Where it is written.
    ///   - deadline: Of one write.
    package init(pool: PostgresPool, deadline: Duration = .seconds(10)) {
        batches = GroupCommit(waitingLimit: 100_000, batchLimit: 2000) { events in
            // The age is taken before the statement is sent, so that the time written is never before the true one.
            let rows = try await pool.execute(
                HistoryStatements.append,
                HistoryStatements.parameters(events, base: nil, now: .now),
                within: deadline
            )
            return try rows.map { try $0.decode(PostgresTimestamp.self, at: 0) }
        }
    }

    /// Writes an event; it is durable when this returns.
    ///
    /// Concurrent calls share a commit.
    ///
    /// - Returns: The event's time, as written.
    /// - Throws: ``PostgresError``, or ``GroupCommitFull``.
    package func append(_ event: LockEvent) async throws -> PostgresTimestamp {
        try await batches.submit(event)
    }
}
