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

    /// The same, with another deadline for each question.
    package func within(_ deadline: Duration) -> QueueViews { QueueViews(pool: pool, deadline: deadline) }

    /// Why a job does not run; one JSON object for each cause.
    ///
    /// - Throws: `PostgresError`; with SQLSTATE P0002 when there is no such job.
    package func causes(of job: JobID) async throws -> [String] {
        try await texts(ViewStatements.why, [.int64(job.rawValue)])
    }

    /// The lock events and attempts of a job, at most 10,000 of each, oldest first.
    package func timeline(of job: Job) async throws -> (events: [String], attempts: [String]) {
        // Nothing happened to it before it came, or long after its end: no attempt runs for longer than 7 days. The day is
        // for a clock that was set.
        let span: [Parameter] = [
            .int64(job.id.rawValue), .timestamp(job.submittedAt.advanced(by: .zero - Self.day)),
            .timestamp(job.finishedAt?.advanced(by: Self.day * 8) ?? .infinity),
        ]
        return (try await texts(ViewStatements.jobEvents, span), try await texts(ViewStatements.attempts, span))
    }

    private static let day: Duration = .seconds(86_400)

    /// A place in the history, by time: an event's time and number.
    package typealias Position = (at: PostgresTimestamp, id: Int64)

    /// The lock events of a key, the latest first.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - before: An event of the key: only what was before it.
    ///   - limit: The most events.
    /// - Returns: A page, as that of a span has it.
    /// - Throws: `PostgresError`.
    package func history(of key: String, before: Position?, limit: Int) async throws -> Page {
        let (now, oldest) = try await historyBounds()
        let spans = HistorySpans(endingAt: before?.at ?? now, atFirst: Self.day * 2, oldest: oldest)
        return try await page(limit, in: spans) {
            (ViewStatements.spanEvents, Self.span($0, key, before, limit))
        }
    }

    /// The database's clock, and since when there is history.
    private func historyBounds() async throws -> (now: PostgresTimestamp, oldest: PostgresTimestamp) {
        let row = try await pool.execute(ViewStatements.historyBounds, [], within: deadline)[0]
        return (try row.decode(PostgresTimestamp.self, at: 0), try row.decode(PostgresTimestamp.self, at: 1))
    }

    private static func span(
        _ span: Range<PostgresTimestamp>,
        _ key: String?,
        _ before: Position?,
        _ limit: Int
    ) -> [Parameter] {
        [
            .timestamp(span.lowerBound), .timestamp(span.upperBound), .text(key), .timestamp(before?.at),
            .int64(before?.id), .int32(Int32(limit + 1)),
        ]
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
        before: Position?,
        limit: Int
    ) async throws -> Page {
        let spans = HistorySpans(endingAt: before?.at ?? until, atFirst: .seconds(1), oldest: since)
        return try await page(limit, in: spans) {
            (ViewStatements.spanEvents, Self.span($0.clamped(to: since..<until), key, before, limit))
        }
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
            key == nil ? ViewStatements.unfinishedWaits : ViewStatements.unfinishedWaitsOfKey,
            [.timestamp(until), .int32(Int32(limit))] + (key.map { [.text($0)] } ?? [])
        )
        let spans = HistorySpans(endingAt: until, atFirst: .seconds(1), oldest: since)
        let finished = try await latest(limit, in: spans) { span in
            let span = span.clamped(to: since..<until)
            return (
                ViewStatements.finishedWaits,
                [.timestamp(span.lowerBound), .timestamp(span.upperBound), .text(key), .int32(Int32(limit))]
            )
        }
        return (unfinished, try finished.map { try $0.decode(String.self, at: 0) })
    }

    /// How many jobs of a queue have finished in a step of time, with one state.
    package struct FinishedJobs: Sendable {
        package let queue: String
        package let state: Job.State?
        /// The step's number: its beginning since 1970, in steps.
        package let step: Int64
        package let count: Int
    }

    /// How many jobs have finished since a step of time; it reads them all.
    ///
    /// - Parameters:
    ///   - first: The step's number.
    ///   - seconds: How long a step is.
    /// - Returns: For each queue, state and step that has any.
    /// - Throws: `PostgresError`.
    package func finishedJobs(since first: Int64, seconds: Int64) async throws -> [FinishedJobs] {
        try await pool.execute(
            ViewStatements.finishedJobs,
            [.timestamp(PostgresTimestamp(microseconds: first * seconds * 1_000_000)), .int64(seconds)],
            within: deadline
        ).map { row in
            FinishedJobs(
                queue: try row.decode(String.self, at: 0),
                state: Job.State(rawValue: try row.decode(String.self, at: 1)),
                step: try row.decode(Int64.self, at: 2),
                count: try row.decode(Int.self, at: 3)
            )
        }
    }

    /// The database's clock.
    package func clock() async throws -> PostgresTimestamp {
        try await pool.execute(ViewStatements.clock, [], within: deadline)[0].decode(PostgresTimestamp.self, at: 0)
    }

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
        try await pool.execute(ViewStatements.queueStates, [.int32(limit)], within: deadline)
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
        try Page(of: Array(await pool.execute(statement, parameters, within: deadline)), limit)
    }

    /// Likewise of the latest rows: see ``latest(_:in:_:)``.
    private func page(
        _ limit: Int,
        in spans: HistorySpans,
        _ question: (Range<PostgresTimestamp>) -> (Statement, [Parameter])
    ) async throws -> Page {
        try Page(of: await latest(limit + 1, in: spans, question), limit)
    }

    /// The latest rows, so many at most: a busy span is not read as a whole to show its end.
    ///
    /// - Parameters:
    ///   - count: How many rows are enough.
    ///   - spans: Where they are looked for, one part of the time after the other.
    ///   - question: What is asked of a part; its rows, the latest first.
    /// - Returns: The rows, the latest first.
    /// - Throws: `PostgresError`.
    private func latest(
        _ count: Int,
        in spans: HistorySpans,
        _ question: (Range<PostgresTimestamp>) -> (Statement, [Parameter])
    ) async throws -> [Row] {
        var spans = spans
        var rows: [Row] = []
        while rows.count < count, let span = spans.next() {
            let (statement, parameters) = question(span)
            rows += try await pool.execute(statement, parameters, within: deadline)
        }
        return Array(rows.prefix(count))
    }
}

extension QueueViews.Page {
    /// Reads rows of an item and a position each, one more than the page has if there is a next one.
    fileprivate init(of rows: [Row], _ limit: Int) throws(PostgresError) {
        var items: [String] = []
        for row in rows.prefix(limit) { items.append(try row.decode(String.self, at: 0)) }
        self.items = items
        next = rows.count > limit ? try rows[limit - 1].decode(String.self, at: 1) : nil
    }
}
