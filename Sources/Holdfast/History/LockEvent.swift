package import Postgres
package import Redlock

/// One row of the lock history, before it is written.
package struct LockEvent: Sendable {
    package enum Kind: String, Sendable {
        case waiting, acquired, extended, passed, released, lost, refused, overrun, rescued
    }

    package let kind: Kind
    package let key: LockKey
    package let worker: WorkerID
    package let job: JobID
    package let attempt: Int
    package let fence: Fence
    /// The number of the claim that the job is of.
    package let claimFence: Fence
    /// When it happened, on this process' monotonic clock.
    package let moment: ContinuousClock.Instant
    package var token: String?
    package var votes: [Vote] = []
    package var validity: Duration?
    package var waited: Duration?
    package var held: Duration?
    package var reason: String?
    /// Of the end of a hold: what became of the attempt.
    package var outcome: String?
    /// Of an acquisition: the jobs that the hold may serve, its own first, when these are several.
    package var serves: [ClaimedJob] = []
    /// What its time is not before: a release's, its acquisition's.
    package var notBefore: PostgresTimestamp?

    /// An event of one of a claim's jobs.
    package init(_ kind: Kind, _ job: ClaimedJob, of claim: Claim, at moment: ContinuousClock.Instant) {
        self.kind = kind
        key = claim.key
        worker = claim.worker
        self.job = job.id
        attempt = job.attempt
        fence = job.fence
        claimFence = claim.fence
        self.moment = moment
    }

    /// Whether it ends a job's part of a hold.
    func isEnd(of job: ClaimedJob) -> Bool {
        guard self.job == job.id else { return false }
        return switch kind {
        case .passed, .released, .lost, .overrun: true
        case .waiting, .acquired, .extended, .refused, .rescued: false
        }
    }
}
