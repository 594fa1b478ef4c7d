package import Postgres

/// What the queue and the history look like, as JSON that the database writes.
package struct QueueViews: Sendable {
    /// A page of a list.
    package struct Page: Sendable {
        /// One JSON text for each item.
        package let items: [String]
        /// What the next page begins after; `nil` on the last page.
        package let next: String?
    }

    private let pool: PostgresPool
    private let deadline: Duration

    package init(pool: PostgresPool, deadline: Duration = .seconds(10)) {
        self.pool = pool
        self.deadline = deadline
    }

    /// Why a job does not run; one JSON object for each cause.
    ///
    /// - Throws: `PostgresError`; with SQLSTATE P0002 when there is no such job.
    package func causes(of job: JobID) async throws -> [String] {
        try await texts(ViewStatements.why, [.int64(job.rawValue)])
    }

    /// The lock events and attempts of a job, at most 10,000 of each, oldest first.
    package func timeline(of job: JobID) async throws -> (events: [String], attempts: [String]) {
        let events = try await texts(ViewStatements.jobEvents, [.int64(job.rawValue)])
        return (events, try await texts(ViewStatements.attempts, [.int64(job.rawValue)]))
    }

    /// The lock events of a key, newest first.
    package func history(of key: String, before: Int64?, limit: Int) async throws -> Page {
        try await page(ViewStatements.keyEvents, [.text(key), .int64(before), .int32(Int32(limit + 1))], limit)
    }

    /// The lock events of a span of time, the latest first.
    ///
    /// - Parameters:
    ///   - since: The first moment.
    ///   - until: The first one that is not in it.
    ///   - key: Only those of this key.
    ///   - before: The time and the number of an event of the span: only what was before it.
    ///   - limit: The most events.
    /// - Returns: A page; its ``Page/next`` is the time and the number of its last event, with a space between.
    /// - Throws: `PostgresError`.
    package func history(
        since: PostgresTimestamp,
        until: PostgresTimestamp,
        key: String?,
        before: (at: PostgresTimestamp, id: Int64)?,
        limit: Int
    ) async throws -> Page {
        try await page(
            ViewStatements.spanEvents,
            [
                .timestamp(since), .timestamp(until), .text(key), .timestamp(before?.at), .int64(before?.id),
                .int32(Int32(limit + 1)),
            ],
            limit
        )
    }

    /// From when on jobs could have run, and when they did.
    ///
    /// - Returns: Of the unfinished jobs that came before the end of a span of time, and of those that finished in it,
    ///   the latest; a JSON object for each.
    /// - Throws: `PostgresError`.
    package func waits(
        since: PostgresTimestamp,
        until: PostgresTimestamp,
        key: String?,
        limit: Int
    ) async throws -> (unfinished: [String], finished: [String]) {
        let unfinished = try await texts(
            ViewStatements.unfinishedWaits,
            [.timestamp(until), .text(key), .int32(Int32(limit))]
        )
        let finished = try await texts(
            ViewStatements.finishedWaits,
            [.timestamp(since), .timestamp(until), .text(key), .int32(Int32(limit))]
        )
        return (unfinished, finished)
    }

    /// How many jobs have finished in each 5 seconds of the last 5 minutes; it reads them all.
    ///
    /// - Returns: A JSON object for each queue.
    /// - Throws: `PostgresError`.
    package func throughput() async throws -> [String] { try await texts(ViewStatements.throughput, []) }

    /// The database's clock, as the API writes it.
    package func now() async throws -> String { try await texts(ViewStatements.now, [])[0] }

    /// A key's line and holder, as a JSON object.
    package func line(of key: String) async throws -> String {
        try await texts(ViewStatements.line, [.text(key)])[0]
    }

    /// The holds of now, by key.
    package func locks(after key: String?, limit: Int) async throws -> Page {
        try await page(ViewStatements.locks, [.text(key), .int32(Int32(limit + 1))], limit)
    }

    /// The queues that have jobs, or that an operator has said something of; it looks at every unfinished job.
    ///
    /// - Parameter name: Only this one.
    /// - Returns: One JSON object for each.
    /// - Throws: `PostgresError`.
    package func queues(_ name: String? = nil) async throws -> [String] {
        try await texts(ViewStatements.queues, [.text(name)])
    }

    /// The deepest queues, at most so many; it looks at every unfinished job.
    ///
    /// - Throws: `PostgresError`.
    package func queueStates(limit: Int32) async throws -> [QueueState] {
        try await pool.execute(ViewStatements.queueStates, [.text(nil), .int32(limit)], within: deadline)
            .map { try QueueState($0) }
    }

    /// How many workers are alive, and how many lines they have claimed.
    ///
    /// - Throws: `PostgresError`.
    package func workerCounts() async throws -> (workers: Int, claims: Int) {
        let row = try await pool.execute(ViewStatements.workerCounts, [], within: deadline)[0]
        return (try row.decode(Int.self, at: 0), try row.decode(Int.self, at: 1))
    }

    /// How many numbers of jobs have been drawn, and when, by the database's clock; `nil` for a role that may not know.
    ///
    /// - Throws: `PostgresError`.
    package func numbersDrawn() async throws -> (count: Int64?, at: PostgresTimestamp) {
        let row = try await pool.execute(ViewStatements.lastJob, [], within: deadline)[0]
        return (try row.decodeIfPresent(Int64.self, at: 0), try row.decode(PostgresTimestamp.self, at: 1))
    }

    /// The workers that are alive.
    package func workers() async throws -> [String] { try await texts(ViewStatements.workers, []) }

    private func texts(_ statement: Statement, _ parameters: [Parameter]) async throws -> [String] {
        try await pool.execute(statement, parameters, within: deadline).map { try $0.decode(String.self, at: 0) }
    }

    /// Reads one row more than a page has.
    private func page(_ statement: Statement, _ parameters: [Parameter], _ limit: Int) async throws -> Page {
        let rows = try await pool.execute(statement, parameters, within: deadline)
        return Page(
            items: try rows.prefix(limit).map { try $0.decode(String.self, at: 0) },
            next: rows.count > limit ? try rows[limit - 1].decode(String.self, at: 1) : nil
        )
    }
}
