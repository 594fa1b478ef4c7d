package import Postgres

extension JobStore {
    /// How jobs ended.
    ///
    /// - Parameter ids: Of any jobs.
    /// - Returns: The state of each of them that is finished.
    /// - Throws: `PostgresError`.
    package func outcomes(of ids: [JobID]) async throws -> [JobID: Job.State] {
        guard !ids.isEmpty else { return [:] }
        let numbers = Parameter.int64s(ids.map(\.rawValue))
        let since = try await pool.execute(ViewStatements.jobsSince, [numbers], within: deadline)[0]
            .decode(PostgresTimestamp.self, at: 0)
        var states: [JobID: Job.State] = [:]
        for row in try await pool.execute(ViewStatements.outcomes, [numbers, .timestamp(since)], within: deadline) {
            let state = Job.State(rawValue: try row.decode(String.self, at: 1))
            states[JobID(try row.decode(Int64.self, at: 0))] = state
        }
        return states
    }

    /// How many unfinished jobs there are; it looks at every one, or every one of the key.
    ///
    /// - Parameters:
    ///   - queue: Only in this one.
    ///   - key: Only of this one.
    /// - Returns: How many, and when, by the database's clock.
    /// - Throws: `PostgresError`.
    package func unfinished(in queue: String?, of key: String?) async throws -> (count: Int, at: PostgresTimestamp) {
        let row = try await pool.execute(
            key == nil ? ViewStatements.countUnfinished : ViewStatements.countUnfinishedOfKey,
            [.text(queue)] + (key.map { [.text($0)] } ?? []),
            within: deadline
        )[0]
        return (try row.decode(Int.self, at: 0), try row.decode(PostgresTimestamp.self, at: 1))
    }

    /// How many jobs have finished since a moment, by state.
    ///
    /// - Throws: `PostgresError`.
    package func finished(
        since: PostgresTimestamp,
        in queue: String?,
        of key: String?
    ) async throws -> [Job.State: Int] {
        var counts: [Job.State: Int] = [:]
        for row in try await pool.execute(
            ViewStatements.finishedSince,
            [.timestamp(since), .text(queue), .text(key)],
            within: deadline
        ) {
            guard let state = Job.State(rawValue: try row.decode(String.self, at: 0)) else { continue }
            counts[state] = try row.decode(Int.self, at: 1)
        }
        return counts
    }
}
