public import Logging
public import Redlock

/// What a task is given besides its payload.
public struct TaskContext: Sendable {
    /// The hold under which the task runs, as it was acquired; it is extended while the task runs.
    ///
    /// Brief jobs that follow each other share one.
    public let hold: Hold
    package let job: ClaimedJob
    private let baseLogger: Logger
    private let progress: @Sendable (TaskProgress) -> Void

    package init(
        job: ClaimedJob,
        hold: Hold,
        logger: Logger,
        progress: @escaping @Sendable (TaskProgress) -> Void
    ) {
        self.job = job
        self.hold = hold
        baseLogger = logger
        self.progress = progress
    }

    /// For the task's own messages; says which job and attempt they are of.
    public var logger: Logger { job.logger(baseLogger, key: key) }
    /// The job's number.
    public var jobID: Int64 { job.id.rawValue }
    /// The key that the job is locked by.
    public var key: LockKey { hold.keys[0] }
    /// Which attempt this is, from 1; one that was snoozed or interrupted does not count.
    public var attempt: Int { job.attempt }
    /// After how many attempts the job is failed.
    public var maxAttempts: Int { job.maxAttempts }
    /// Rises with each attempt of any job of the key.
    ///
    /// What the task changes elsewhere should be guarded by it: a change
    /// with a fence below one that was seen there comes from a worker that was frozen, and is to be refused.
    public var fence: Fence { job.fence }
    /// What the submitter said of the job, as JSON.
    public var metadata: String? { job.metadata }
    /// The trace context of the attempt where the process has a tracer, else of the job's submission (W3C Trace Context).
    public var traceparent: String? { job.traceparent }

    /// Says how far the task is, for those who look at the job; it is stored within a second or so.
    ///
    /// - Parameters:
    ///   - part: How much is done, from 0 to 1; what is outside is taken for the nearer of them.
    ///   - note: What is being done; the first 2,000 characters are kept.
    public func report(_ part: Double, _ note: String? = nil) {
        // What is no number, as a part of nothing, is the beginning.
        let part = part.isNaN ? 0 : min(max(part, 0), 1)
        progress(TaskProgress(job: job.id, fence: job.fence, part: part, note: note?.bounded))
    }
}

/// How far a task is.
package struct TaskProgress: Sendable {
    package let job: JobID
    package let fence: Fence
    package let part: Double
    package let note: String?
}
