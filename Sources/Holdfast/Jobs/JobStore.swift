package import Postgres
import Redlock

/// The queue in PostgreSQL: jobs, their lines, and what became of them.
package struct JobStore: Sendable {
    let pool: PostgresPool
    /// Deadline of one statement.
    let deadline: Duration

    package init(pool: PostgresPool, deadline: Duration = .seconds(10)) {
        self.pool = pool
        self.deadline = deadline
    }

    /// Stores a batch of jobs in one call and one commit, all or none, whatever their idempotency keys and limits.
    ///
    /// - Parameter jobs: At least one; for each key, in the order in which they are to run.
    /// - Returns: A receipt for each, in the same order.
    /// - Throws: `PostgresError`.
    package func enqueue(_ jobs: [NewJob]) async throws -> [JobReceipt] {
        try JobReceipt.read(
            await pool.execute(
                QueueStatements.enqueue.statement,
                QueueStatements.enqueue.parameters(QueueStatements.Batch(jobs: jobs)),
                within: deadline
            )
        )
    }

    /// Finds a job.
    ///
    /// - Returns: `nil` when there is none of that id.
    /// - Throws: `PostgresError`.
    package func find(_ id: JobID) async throws -> Job? {
        try await pool.execute(QueueStatements.find, [.int64(id.rawValue)], within: deadline).first.map { row in
            try Job(row)
        }
    }
}
