package import Postgres

/// What became of a claim, or of a part of its run: to be recorded, and its line moved on, in one transaction.
package struct Settlement: Sendable {
    /// A job that is over.
    package struct Finished: Sendable {
        package enum State: String, Sendable { case succeeded, failed, cancelled }

        package let job: ClaimedJob
        package let state: State
        package let error: String?
        package let startedAt: PostgresTimestamp?
    }

    /// A job that is to run again and keeps its place.
    package struct Retried: Sendable {
        package let job: ClaimedJob
        /// How many of its attempts count.
        package let attempts: Int
        package let error: String
    }

    /// Extensions that are kept while nothing can be settled; of more, the last one is.
    package static let extensionLimit = 100

    package let claim: Claim
    package private(set) var finished: [Finished] = []
    package private(set) var retried: Retried?
    package private(set) var events: [Box<LockEvent>] = []
    /// Whether the line is given back, with what is left of it.
    package var freesLine = false
    /// Until the line may be claimed again, counted from the settle.
    package var delay: Duration = .zero
    /// Whether a foreign holder keeps the head out.
    package var isWaiting = false
    /// The hold of the run's next job, to be recorded in the same transaction, if the line is still the claim's.
    package var acquired: Box<LockEvent>?
    /// No unfinished job of the line has this place or a lower one.
    package private(set) var pastPlace: Int64

    package init(of claim: Claim) {
        self.claim = claim
        pastPlace = claim.headPlace - 1
    }

    /// Whether there is nothing to record.
    package var isEmpty: Bool {
        finished.isEmpty && retried == nil && events.isEmpty && acquired == nil && !freesLine
    }

    package mutating func finish(
        _ job: ClaimedJob,
        _ state: Finished.State,
        error: String? = nil,
        startedAt: PostgresTimestamp? = nil
    ) {
        finished.append(Finished(job: job, state: state, error: error, startedAt: startedAt))
        pastPlace = job.place
    }

    /// - Parameters:
    ///   - job: The line's next job.
    ///   - error: Why it has not succeeded.
    ///   - delay: Until it may run again.
    ///   - counts: Whether this attempt counts.
    package mutating func retry(_ job: ClaimedJob, error: String, after delay: Duration, counts: Bool = true) {
        retried = Retried(job: job, attempts: counts ? job.attempt : job.attempt - 1, error: error)
        self.delay = delay
    }

    /// Adds an event.
    ///
    /// A long task goes on while the database is away: past ``extensionLimit`` an extension takes the place of the one
    /// before, which it outlasts.
    package mutating func record(_ event: LockEvent) {
        if event.kind == .extended, events.count >= Self.extensionLimit, let last = events.last?.value,
            last.kind == .extended, last.fence == event.fence
        {
            events.removeLast()
        }
        events.append(Box(event))
    }

    /// Takes out the jobs that are over, to be settled while the run goes on; the rest belongs to the line's release.
    package mutating func takePart() -> Settlement {
        var part = Settlement(of: claim)
        part.finished = finished
        part.events = events
        part.pastPlace = pastPlace
        finished = []
        events = []
        return part
    }
}

/// What a worker is told once its hold is recorded.
package struct HoldReceipt: Sendable, Equatable {
    /// When it began.
    package let at: PostgresTimestamp
    /// Of the jobs that it was to serve, those that were cancelled before.
    package let gone: Set<JobID>

    package init(at: PostgresTimestamp, gone: Set<JobID> = []) {
        self.at = at
        self.gone = gone
    }
}

/// How a settlement went.
package enum SettlementResult: Sendable, Equatable {
    /// It is recorded; whether its line has been freed with more jobs in it.
    case settled(hasMore: Bool)
    /// It is recorded, and so is the hold of the run's next jobs.
    case acquired(HoldReceipt)
    /// It is recorded, and the hold of the run's next job is not: that was cancelled.
    case refused
    /// The line had been taken by a later claim, or put back: nothing was changed, and that is recorded as `refused`.
    case stale
    /// Somebody has the line locked at this moment: nothing was done, and it is to be settled again.
    case busy
}
