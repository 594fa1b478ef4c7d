import Postgres

/// How a queue stands.
package struct QueueState: Sendable {
    /// Lines of a kind that no live worker takes from the queue.
    package struct Unserved: Sendable {
        package let kind: String
        /// Those that are ready.
        package let lines: Int
        /// How long the line that is ready longest has been ready.
        package let oldestWait: Duration
    }

    package let name: String
    package let isPaused: Bool
    /// Unfinished jobs, those that are scheduled included.
    package let depth: Int
    package let scheduled: Int
    /// Lines that are ready, of any kind.
    package let ready: Int
    /// Lines that are claimed.
    package let running: Int
    /// How long the line that is ready longest has been ready; `nil` when none is.
    package let oldestWait: Duration?
    /// Likewise of kinds that a live worker takes.
    package let servedWait: Duration?
    /// The kinds with most lines that are ready and that no live worker takes, 20 at most.
    package let unserved: [Unserved]

    /// Reads a row of ``ViewStatements/queueStates``.
    init(_ row: Row) throws(PostgresError) {
        name = try row.decode(String.self, at: 0)
        isPaused = try row.decode(Bool.self, at: 1)
        depth = try row.decode(Int.self, at: 2)
        scheduled = try row.decode(Int.self, at: 3)
        ready = try row.decode(Int.self, at: 4)
        running = try row.decode(Int.self, at: 5)
        oldestWait = try row.decodeIfPresent(Int64.self, at: 6).map { .milliseconds($0) }
        servedWait = try row.decodeIfPresent(Int64.self, at: 7).map { .milliseconds($0) }
        let kinds = try row.decode([String].self, at: 8)
        let lines = try row.decode([Int64].self, at: 9)
        let waits = try row.decode([Int64].self, at: 10)
        unserved = kinds.indices.map { index in
            Unserved(kind: kinds[index], lines: Int(lines[index]), oldestWait: .milliseconds(waits[index]))
        }
    }
}
