import Postgres
import Redlock
import Synchronization

/// What queues may still take, as one process knows it.
///
/// Depths are counted again after a second, and what this process stores in between is added: what others store
/// meanwhile may pass a limit.
final class QueueLimits: Sendable {
    struct Limit: Sendable {
        var jobs: Int?
        var line: Int?
        var depth: Int
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
                line: try row.decodeIfPresent(Int.self, at: 2),
                depth: try row.decode(Int.self, at: 3)
            )
        }
        state.withLock { $0 = (read, .now + Self.lifetime) }
        return read
    }

    /// Adds jobs that were stored.
    func stored(_ queues: [String]) {
        state.withLock { state in
            for queue in queues { state.limits[queue]?.depth += 1 }
        }
    }
}
