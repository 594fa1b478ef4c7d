package import Redlock

/// Writes the lock history ahead of what it tells.
package struct LockHistory: Sendable {
    private let batches: GroupCommit<Box<LockEvent>, HoldReceipt?>

    /// - Parameter store: Where it is written.
    package init(store: JobStore) { self.init { try await store.begin($0) } }

    /// - Parameter write: Writes acquisitions of claims that still have their lines; the hold of each, `nil` for a stale claim's.
    package init(write: @escaping @Sendable ([Box<LockEvent>]) async throws -> [HoldReceipt?]) {
        batches = GroupCommit("history", waitingLimit: 100_000, batchLimit: 2000, inFlightLimit: 2, perform: write)
    }

    /// Writes the acquisition of a claim that still has its line; it is durable when this returns.
    ///
    /// Concurrent calls share a commit.
    /// - Returns: The hold, as written.
    /// - Throws: ``StaleClaim``, `PostgresError`, or ``GroupCommitFull``.
    package func append(_ event: LockEvent) async throws -> HoldReceipt { try await append(Box(event)) }

    /// Writes an event that its caller keeps on the heap: ``append(_:)-(LockEvent)``.
    package func append(_ event: Box<LockEvent>) async throws -> HoldReceipt {
        guard let hold = try await batches.submit(event) else { throw StaleClaim(fence: event.value.claimFence) }
        return hold
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
