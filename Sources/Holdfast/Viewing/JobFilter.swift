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
        try await pool.execute(ViewStatements.jobs, filter.parameters, within: deadline).map { try Job($0) }
    }
}
