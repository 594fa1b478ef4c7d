package import Redlock

/// A line that a worker has taken out of the queue, with a run of jobs from its head.
package struct Claim: Sendable {
    package let key: LockKey
    package let worker: WorkerID
    /// The claim's own number; those of its jobs are higher.
    package let fence: Fence
    /// No job of the line has a lower place.
    package let headPlace: Int64
    package let queue: String
    /// In order; empty when the line turned out to have none.
    package var jobs: [ClaimedJob]
    /// How long a foreign holder has kept the head out so far; `nil` when none has.
    package let waited: Duration?
    /// How long it was ready before it was claimed.
    package let wasReady: Duration

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
    }
}

/// A job of a claim, with the number that guards its attempt.
package struct ClaimedJob: Sendable {
    package let id: JobID
    package let fence: Fence
    package let kind: String
    package let value: String
    package let duration: Duration
    package let lockTTL: Duration
    /// Which attempt this is, from 1.
    package let attempt: Int
    package let maxAttempts: Int
    /// How long the attempt may run; `nil` for its duration, and the worker's grace.
    package let timeout: Duration?
    /// A JSON text.
    package let metadata: String?
    package var traceparent: String?
    /// Whether it is to be cancelled, and not to be run.
    package let isCancelled: Bool
    /// Its place in its line.
    package let place: Int64

    /// A job of a simulation.
    package init(id: JobID, fence: Fence, kind: String, value: String, lockTTL: Duration, attempt: Int, place: Int64) {
        self.id = id
        self.fence = fence
        self.kind = kind
        self.value = value
        self.lockTTL = lockTTL
        self.attempt = attempt
        self.place = place
        duration = .seconds(60)
        maxAttempts = .max
        timeout = nil
        metadata = nil
        traceparent = nil
        isCancelled = false
    }
}
