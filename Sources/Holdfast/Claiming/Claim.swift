package import Redlock

/// A line that a worker has taken out of the queue, with a run of jobs from its head.
///
/// A class, as is ``ClaimedJob``: the tasks of a run share it, and each of their frames would have a copy otherwise.
package final class Claim: Sendable {
    package let key: LockKey
    package let worker: WorkerID
    /// The claim's own number; those of its jobs are higher.
    package let fence: Fence
    /// No job of the line has a lower place.
    package let headPlace: Int64
    package let queue: String
    /// In order; empty when the line turned out to have none.
    package let jobs: [ClaimedJob]
    /// How long a foreign holder has kept the head out so far; `nil` when none has.
    package let waited: Duration?
    /// How long it was ready before it was claimed.
    package let wasReady: Duration
    /// What its jobs' values and metadata have, and a little for each job.
    package let bytes: Int

    package init(
        key: LockKey,
        worker: WorkerID,
        fence: Fence,
        headPlace: Int64,
        queue: String,
        jobs: [ClaimedJob],
        waited: Duration?,
        wasReady: Duration = .zero
    ) {
        self.key = key
        self.worker = worker
        self.fence = fence
        self.headPlace = headPlace
        self.queue = queue
        self.jobs = jobs
        self.waited = waited
        self.wasReady = wasReady
        bytes = jobs.reduce(0) { $0 + $1.value.utf8.count + ($1.metadata?.utf8.count ?? 0) + 256 }
    }
}

/// A job of a claim, with the number that guards its attempt.
package final class ClaimedJob: Sendable {
    package let id: JobID
    package let fence: Fence
    package let kind: String
    package let value: String
    package let duration: Duration
    package let lockTTL: Duration
    /// Which attempt this is, from 1.
    package let attempt: Int
    package let maxAttempts: Int
    /// How long an attempt's task may run; `nil` for its duration, and the worker's grace.
    package let timeout: Duration?
    /// A JSON text.
    package let metadata: String?
    package let traceparent: String?
    /// Whether it is to be cancelled, and not to be run.
    package let isCancelled: Bool
    /// Its place in its line.
    package let place: Int64

    package init(
        id: JobID,
        fence: Fence,
        kind: String,
        value: String,
        duration: Duration = .seconds(60),
        lockTTL: Duration,
        attempt: Int,
        maxAttempts: Int = .max,
        timeout: Duration? = nil,
        metadata: String? = nil,
        traceparent: String? = nil,
        isCancelled: Bool = false,
        place: Int64
    ) {
        self.id = id
        self.fence = fence
        self.kind = kind
        self.value = value
        self.duration = duration
        self.lockTTL = lockTTL
        self.attempt = attempt
        self.maxAttempts = maxAttempts
        self.timeout = timeout
        self.metadata = metadata
        self.traceparent = traceparent
        self.isCancelled = isCancelled
        self.place = place
    }

    /// The same job as a part of another span's trace.
    package func traced(as traceparent: String?) -> ClaimedJob {
        ClaimedJob(
            id: id,
            fence: fence,
            kind: kind,
            value: value,
            duration: duration,
            lockTTL: lockTTL,
            attempt: attempt,
            maxAttempts: maxAttempts,
            timeout: timeout,
            metadata: metadata,
            traceparent: traceparent,
            isCancelled: isCancelled,
            place: place
        )
    }
}
