package import Postgres

/// A lock event as it is shown.
package struct ShownEvent: Sendable {
    /// Its number in the history.
    package let id: Int64
    package let key: String
    package let job: JobID?
    package let name: String
    /// The event as a JSON object.
    package let json: String

    init(_ row: Row) throws(PostgresError) {
        id = try row.decode(Int64.self, at: 0)
        key = try row.decode(String.self, at: 1)
        job = try row.decodeIfPresent(Int64.self, at: 2).map(JobID.init)
        name = try row.decode(String.self, at: 3)
        json = try row.decode(String.self, at: 4)
    }
}

/// Reads the history by its numbers.
package struct EventReader: Sendable {
    private let pool: PostgresPool
    private let deadline: Duration

    package init(pool: PostgresPool, deadline: Duration = .seconds(5)) {
        self.pool = pool
        self.deadline = deadline
    }

    /// A number that the events of the last day have at most, and later ones do not.
    package func last() async throws -> Int64 {
        try await pool.execute(ViewStatements.lastEvent, [], within: deadline)[0].decode(Int64.self, at: 0)
    }

    /// The database's transactions of now.
    package func snapshot() async throws -> EventOrder.Snapshot {
        let row = try await pool.execute(ViewStatements.snapshot, [], within: deadline)[0]
        return EventOrder.Snapshot(
            oldest: try row.decode(Int64.self, at: 0),
            next: try row.decode(Int64.self, at: 1)
        )
    }

    /// Events between two numbers, the second one included, in their order.
    package func events(
        after id: Int64,
        upTo last: Int64 = .max,
        key: String? = nil,
        job: JobID? = nil,
        limit: Int
    ) async throws -> [ShownEvent] {
        try await pool.execute(
            ViewStatements.events,
            [.int64(id), .int64(last), .text(key), .int64(job?.rawValue), .int32(Int32(limit))],
            within: deadline
        ).map { try ShownEvent($0) }
    }
}
