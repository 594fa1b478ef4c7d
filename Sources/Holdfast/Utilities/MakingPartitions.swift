import Postgres

/// Makes the partitions that are missing and tries once more: no worker has run for days, or a clock has been set forward.
///
/// - Throws: What `body` throws.
func makingPartitions<Value>(
    on pool: PostgresPool,
    _ body: () async throws -> sending Value
) async throws -> sending Value {
    do {
        return try await body()
    } catch let error as PostgresError where error.lacksPartition {
        _ = try await pool.execute(WorkerStatements.makePartitions)
        return try await body()
    }
}
