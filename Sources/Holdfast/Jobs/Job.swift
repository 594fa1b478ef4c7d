package import Postgres
package import Redlock

/// A job as it stands in the database.
package struct Job: Sendable {
    /// Where a job is on its way.
    package enum State: String, Sendable {
        case scheduled, queued, running, retrying
        case succeeded, failed, cancelled

        /// Whether nothing more will happen to it.
        package var isFinished: Bool { [.succeeded, .failed, .cancelled].contains(self) }
    }

    package let id: JobID
    package let key: LockKey
    package let kind: String
    package let value: String
    package let queue: String
    package let priority: Int
    package let duration: Duration
    package let lockTTL: Duration
    /// How long an attempt's task may run; `nil` for its duration, and the worker's grace.
    package let timeout: Duration?
    package let state: State
    /// Attempts that were begun.
    package let attempt: Int
    package let maxAttempts: Int
    /// Why the last attempt did not succeed.
    package let error: String?
    /// The fence of the last attempt; `nil` before the first.
    package let fence: Fence?
    package let submittedAt: PostgresTimestamp
    /// When it joins its line, or did; `nil` when it joined at once.
    package let runAt: PostgresTimestamp?
    /// When the last attempt had its lock, or its part of a shared hold began; `nil` before the first.
    package let startedAt: PostgresTimestamp?
    package let finishedAt: PostgresTimestamp?
    /// A JSON text.
    package let metadata: String?
    package let traceparent: String?
    /// How much of its task is done, from 0 to 1, as the task said last.
    package let progress: Double?
    package let progressNote: String?

    /// A job that was stored just now.
    package init(_ job: NewJob, _ receipt: JobReceipt) {
        id = receipt.id
        key = job.key
        kind = job.kind
        value = job.value
        queue = job.queue
        priority = Int(job.priority)
        duration = job.duration
        lockTTL = job.lockTTL
        timeout = job.timeout
        state = job.runAt.map { $0 > receipt.submittedAt } ?? false ? .scheduled : .queued
        attempt = 0
        maxAttempts = Int(job.maxAttempts)
        error = nil
        fence = nil
        submittedAt = receipt.submittedAt
        runAt = job.runAt
        startedAt = nil
        finishedAt = nil
        metadata = job.metadata
        traceparent = job.traceparent
        progress = nil
        progressNote = nil
    }

    /// Reads a row of ``QueueStatements/find``.
    init(_ row: Row) throws(PostgresError) {
        id = JobID(try row.decode(Int64.self, named: "id"))
        key = LockKey(stored: try row.decode(String.self, named: "lock_key"))
        kind = try row.decode(String.self, named: "kind")
        value = try row.decode(String.self, named: "value")
        queue = try row.decode(String.self, named: "queue")
        priority = try row.decode(Int.self, named: "priority")
        duration = .milliseconds(try row.decode(Int.self, named: "duration_ms"))
        lockTTL = .milliseconds(try row.decode(Int.self, named: "lock_ttl_ms"))
        timeout = try row.decodeIfPresent(Int.self, named: "timeout_ms").map { .milliseconds($0) }
        let text = try row.decode(String.self, named: "state")
        guard let state = State(rawValue: text) else {
            throw PostgresError(.decoding, "column state holds \(text), which is no state of a job")
        }
        self.state = state
        attempt = try row.decode(Int.self, named: "attempt")
        maxAttempts = try row.decode(Int.self, named: "max_attempts")
        error = try row.decodeIfPresent(String.self, named: "error")
        fence = try row.decodeIfPresent(Int64.self, named: "fence").map(Fence.init)
        submittedAt = try row.decode(PostgresTimestamp.self, named: "submitted_at")
        runAt = try row.decodeIfPresent(PostgresTimestamp.self, named: "run_at")
        startedAt = try row.decodeIfPresent(PostgresTimestamp.self, named: "started_at")
        finishedAt = try row.decodeIfPresent(PostgresTimestamp.self, named: "finished_at")
        metadata = try row.decodeIfPresent(String.self, named: "metadata")
        traceparent = try row.decodeIfPresent(String.self, named: "traceparent")
        progress = try row.decodeIfPresent(Double.self, named: "progress")
        progressNote = try row.decodeIfPresent(String.self, named: "progress_note")
    }
}

/// What a client is told once its job is stored.
package struct JobReceipt: Sendable {
    package let id: JobID
    package let submittedAt: PostgresTimestamp
    /// Whether it was stored now; not so when its idempotency key had stored it before.
    package var isNew: Bool

    package init(id: JobID, submittedAt: PostgresTimestamp, isNew: Bool = true) {
        self.id = id
        self.submittedAt = submittedAt
        self.isNew = isNew
    }
}
