package import Postgres
package import Redlock

/// Writes the lock history ahead of what it tells.
package struct LockHistory: Sendable {
    private let batches: GroupCommit<Box<LockEvent>, PostgresTimestamp?>

    /// - Parameters:
    ///   - pool: Where it is written.
    ///   - deadline: Of one write.
    package init(pool: PostgresPool, deadline: Duration = .seconds(10)) {
        self.init { events in
            // The age is taken before the statement is sent, so that the time written is never before the true one.
            let rows = try await pool.execute(
                HistoryStatements.writeAhead,
                HistoryStatements.parameters(events),
                within: deadline
            )
            let starts = try HistoryStatements.starts(rows)
            return events.map { starts[$0.value.fence] }
        }
    }

    /// - Parameter write: Writes events of claims that still have their lines; the time of each, `nil` for a stale claim's.
    package init(write: @escaping @Sendable ([Box<LockEvent>]) async throws -> [PostgresTimestamp?]) {
        batches = GroupCommit("history", waitingLimit: 100_000, batchLimit: 2000, inFlightLimit: 2, perform: write)
    }

    /// Writes an event of a claim that still has its line; it is durable when this returns.
    ///
    /// Concurrent calls share a commit.
    /// - Returns: The event's time, as written.
    /// - Throws: ``StaleClaim``, `PostgresError`, or ``GroupCommitFull``.
    package func append(_ event: LockEvent) async throws -> PostgresTimestamp { try await append(Box(event)) }

    /// Writes an event that its caller keeps on the heap: ``append(_:)-(LockEvent)``.
    package func append(_ event: Box<LockEvent>) async throws -> PostgresTimestamp {
        guard let at = try await batches.submit(event) else { throw StaleClaim(fence: event.value.claimFence) }
        return at
    }
}

/// The line of a claim was put back, or claimed again: nothing may be started under it.
package struct StaleClaim: Error, CustomStringConvertible {
    package let fence: Fence

    package init(fence: Fence) { self.fence = fence }

    package var description: String {
        "claim \(fence) is stale: its line was put back or claimed again, or its job was cancelled"
    }
}
