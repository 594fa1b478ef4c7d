import Redlock

/// Stores jobs as they are submitted; concurrent submissions share a statement and a commit.
package struct Submissions: Sendable {
    /// The most bytes of jobs in one statement: 8 MiB.
    private static let batchBytes = 8 << 20
    /// The most bytes of jobs that wait for a statement: 64 MiB.
    private static let waitingBytes = 64 << 20
    /// What a job weighs besides its key and value, in bytes.
    private static let jobBytes = 256

    private let batches: GroupCommit<NewJob, JobReceipt>
    private let wakeups: Wakeups

    package init(store: JobStore, wakeups: Wakeups) {
        self.wakeups = wakeups
        batches = GroupCommit(waitingLimit: Self.waitingBytes, batchLimit: Self.batchBytes) { job in
            Self.jobBytes + job.key.text.utf8.count + job.value.utf8.count
        } perform: { jobs in
            try await store.enqueue(jobs)
        }
    }

    /// Stores a job; it survives any crash once this returns.
    ///
    /// - Throws: ``PostgresError``, or ``GroupCommitFull``.
    package func submit(_ job: NewJob) async throws -> JobReceipt {
        let receipt = try await batches.submit(job)
        wakeups.ready(job.queue)
        return receipt
    }
}
