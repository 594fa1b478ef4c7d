package import Postgres

/// Which jobs are listed; what is `nil` or empty is not looked at.
package struct JobFilter: Sendable {
    package var states: [Job.State] = []
    package var key: String?
    package var queue: String?
    package var kind: String?
    package var submittedAfter: PostgresTimestamp?
    package var submittedBefore: PostgresTimestamp?
    /// Jobs with lower numbers than this one.
    package var before: JobID?
    /// The most jobs; 1 to 1,000.
    package var limit = 100
    /// Whether jobs come with their values; those that do not have empty ones.
    package var hasValues = true
    /// Whether jobs come with their metadata.
    package var hasMetadata = true
    /// After so many bytes of values and metadata there are no more jobs.
    package var bytes = Int64.max

    package init() {}

    var parameters: [Parameter] {
        [
            .texts(states.map(\.rawValue)), .text(key), .text(queue), .text(kind), .timestamp(submittedAfter),
            .timestamp(submittedBefore), .int64(before?.rawValue), .int32(Int32(limit)),
        ]
    }
}

extension JobStore {
    /// Lists jobs, the highest number first.
    ///
    /// - Throws: `PostgresError`.
    package func list(_ filter: JobFilter) async throws -> [Job] {
        let looks = try await pool.execute(JobListStatements.looks, [.int64(filter.before?.rawValue)], within: deadline)
        let holdsSince = try looks[0].decode(PostgresTimestamp.self, at: 2)
        let statement = JobListStatements.jobs(filter)
        func ask(_ statement: Statement, above: Int64?, _ span: Range<PostgresTimestamp>) async throws -> [Job] {
            let bounds: [Parameter] = [
                .int64(above), .timestamp(span.lowerBound), .timestamp(span.upperBound), .timestamp(holdsSince),
                .bool(filter.hasValues), .bool(filter.hasMetadata), .int64(filter.bytes),
            ]
            return try await pool.execute(statement, filter.parameters + bounds, within: deadline).map { try Job($0) }
        }
        guard filter.mayBeFinished else { return try await ask(statement, above: nil, .negativeInfinity..<(.infinity)) }
        for look in looks {
            guard let above = try look.decodeIfPresent(Int64.self, at: 0) else { continue }
            let since = try look.decode(PostgresTimestamp.self, at: 1)
            let jobs = try await ask(statement, above: above, since..<(.infinity))
            // A finished job that a further look would find has a lower number than all of these.
            if jobs.count == filter.limit || filter.isFilled(by: jobs), let last = jobs.last, last.id.rawValue > above {
                return jobs
            }
        }
        // There are few: all of the history's time is looked at, part by part, and what is unfinished with the first.
        var spans = HistorySpans(endingAt: holdsSince, oldest: try looks[0].decode(PostgresTimestamp.self, at: 3))
        var found: [JobID: Job] = [:]
        var isFirst = true
        while let span = spans.next() {
            let statement = isFirst ? statement : JobListStatements.jobs(filter, finishedOnly: true)
            for job in try await ask(statement, above: nil, span) { found[job.id] = job }
            isFirst = false
        }
        // A part that was cut for its bytes ends the page: what is between its last and the next part's first is missing.
        var page: [Job] = []
        var bytes: Int64 = 0
        for job in found.values.sorted(by: { $0.id.rawValue > $1.id.rawValue }).prefix(filter.limit) {
            if bytes > filter.bytes { break }
            bytes += job.bytes
            page.append(job)
        }
        return page
    }
}

extension JobFilter {
    /// Whether jobs have more bytes of values and metadata than a list may have; of its last job it may have more.
    fileprivate func isFilled(by jobs: [Job]) -> Bool { jobs.reduce(0) { $0 + $1.bytes } > bytes }
}

extension Job {
    /// How many bytes its value and metadata have.
    fileprivate var bytes: Int64 { Int64(value.utf8.count + (metadata?.utf8.count ?? 0)) }
}
