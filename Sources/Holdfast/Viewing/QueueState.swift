import Postgres

/// How a queue stands.
package struct QueueState: Sendable {
    package let name: String
    package let isPaused: Bool
    /// Unfinished jobs, those that are scheduled included.
    package let depth: Int
    package let scheduled: Int
    /// Lines that could be claimed.
    package let ready: Int
    /// Lines that are claimed.
    package let running: Int
    /// How long the line that is ready longest has been ready; `nil` when none is.
    package let oldestWait: Duration?

    /// Reads a row of ``ViewStatements/queueStates``.
    init(_ row: Row) throws(PostgresError) {
        name = try row.decode(String.self, at: 0)
        isPaused = try row.decode(Bool.self, at: 1)
        depth = try row.decode(Int.self, at: 2)
        scheduled = try row.decode(Int.self, at: 3)
        ready = try row.decode(Int.self, at: 4)
        running = try row.decode(Int.self, at: 5)
        oldestWait = try row.decodeIfPresent(Int64.self, at: 6).map { .milliseconds($0) }
    }
}
