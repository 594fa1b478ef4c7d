import Postgres
import Synchronization

/// The limits of queues, as one process knows them.
///
/// They are read again after a second. How many jobs a queue has is asked before each batch that has jobs for a queue with a
/// limit, and for no other: so a limit is passed by what is being stored at the same moment at most.
final class QueueLimits: Sendable {
    struct Limit: Sendable {
        let jobs: Int?
        let line: Int?
    }

    private static let lifetime: Duration = .seconds(1)
    private let state = Mutex<(limits: [String: Limit], goodUntil: ContinuousClock.Instant)>(([:], .now))

    /// The limits, read again when they are old.
    func current(_ pool: PostgresPool, within deadline: Duration) async throws -> [String: Limit] {
        let (limits, goodUntil) = state.withLock { $0 }
        if ContinuousClock.now < goodUntil { return limits }
        var read: [String: Limit] = [:]
        for row in try await pool.execute(QueueStatements.limits, [], within: deadline) {
            read[try row.decode(String.self, at: 0)] = Limit(
                jobs: try row.decodeIfPresent(Int.self, at: 1),
                line: try row.decodeIfPresent(Int.self, at: 2)
            )
        }
        state.withLock { $0 = (read, .now + Self.lifetime) }
        return read
    }
}
