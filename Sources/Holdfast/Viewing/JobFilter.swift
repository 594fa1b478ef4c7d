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
            ]
            return try await pool.execute(statement, filter.parameters + bounds, within: deadline).map { try Job($0) }
        }
        guard filter.mayBeFinished else { return try await ask(statement, above: nil, .negativeInfinity..<(.infinity)) }
        for look in looks {
            guard let above = try look.decodeIfPresent(Int64.self, at: 0) else { continue }
            let since = try look.decode(PostgresTimestamp.self, at: 1)
            let jobs = try await ask(statement, above: above, since..<(.infinity))
            // A finished job that a further look would find has a lower number than all of these.
            if jobs.count == filter.limit, let last = jobs.last, last.id.rawValue > above { return jobs }
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
        return Array(found.values.sorted { $0.id.rawValue > $1.id.rawValue }.prefix(filter.limit))
    }
}
