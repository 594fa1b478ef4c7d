import Postgres

extension JobStore {
    /// Those of some jobs that are finished, or were never there.
    ///
    /// - Throws: `PostgresError`.
    package func finished(of ids: [JobID]) async throws -> [JobID] {
        try await pool.execute(ViewStatements.gone, [.int64s(ids.map(\.rawValue))], within: deadline).map {
            JobID(try $0.decode(Int64.self, at: 0))
        }
    }
}
