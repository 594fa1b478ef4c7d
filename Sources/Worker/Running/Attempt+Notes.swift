import Holdfast
import Logging
import PlantedBugs
import Postgres
import Redlock
import Tracing

/// What an attempt notes of itself.
///
/// None of it is inlined into the code that waits: what it needs for a moment would stay in the memory of each job that runs.
extension Attempt {
    @inline(never)
    func context(_ hold: Hold) -> TaskContext {
        TaskContext(job: job, hold: hold, logger: runner.logger, progress: runner.work.progress.post)
    }

    /// - Returns: When the hold ended: a process that was frozen finds out late that it had.
    @inline(never)
    func noteOutcome(
        _ outcome: Outcome,
        since start: ContinuousClock.Instant,
        validUntil: ContinuousClock.Instant,
        in span: (any Span)?
    ) -> ContinuousClock.Instant {
        note(outcome.name, reason: outcome.reason, in: span)
        let ended = min(runner.clock.now, validUntil)
        runner.metrics.ended(outcome, held: start.duration(to: ended))
        return ended
    }

    @inline(never)
    func note(_ outcome: String, reason: String? = nil, in span: (any Span)?) {
        guard let span else { return }
        span.attributes["holdfast.outcome"] = outcome
        if let reason { span.setStatus(SpanStatus(code: .error, message: reason)) }
    }

    /// Ends an attempt that is not to be begun.
    ///
    /// - Returns: Whether the next job of the line may run now.
    @inline(never)
    func end() -> Bool {
        if job.isCancelled {
            ledger.note { $0.finish(job, .cancelled) }
            return true
        }
        if job.attempt > job.maxAttempts {
            ledger.note { $0.finish(job, .failed, error: "no attempt is left of \(job.maxAttempts)") }
            return true
        }
        // A claim has jobs of the worker's kinds only.
        preconditionFailure("a job of kind \(job.kind), which was not asked for")
    }

    @inline(never)
    func acquiredEvent(
        _ hold: Hold,
        since start: ContinuousClock.Instant,
        _ followers: [Attempt]
    ) -> Box<LockEvent> {
        var event = LockEvent(.acquired, job, of: claim, at: hold.acquiredAt)
        event.token = hold.token
        event.votes = hold.votes
        event.validity = hold.acquiredAt.duration(to: hold.validUntil)
        let wait = (waited ?? .zero) + start.duration(to: hold.acquiredAt)
        event.waited = wait
        if !followers.isEmpty, !PlantedBug.sharedHoldUnrecorded.isPlanted {
            event.serves = [job] + followers.map(\.job)
        }
        runner.metrics.acquired(after: wait)
        return Box(event)
    }

    @inline(never)
    func noteExtension(of hold: Hold) {
        let now = runner.clock.now
        var event = LockEvent(.extended, job, of: claim, at: now)
        event.validity = now.duration(to: hold.validUntil)
        event.votes = hold.votes
        event.held = hold.acquiredAt.duration(to: now)
        ledger.note { $0.record(event) }
        ledger.settleSoon()
    }

    /// Notes that the job has succeeded, and that its hold went on to the next.
    @inline(never)
    func notePassed(_ part: HoldPart, _ hold: HoldReceipt) {
        var event = LockEvent(.passed, job, of: claim, at: part.end)
        event.outcome = Outcome.succeeded.name
        event.held = part.start.duration(to: part.end)
        event.notBefore = hold.at
        runner.metrics.ended(.succeeded, held: part.start.duration(to: part.end))
        ledger.note { settlement in
            settlement.record(event)
            settlement.finish(job, .succeeded, startedAt: part.startedAt)
        }
    }

    @inline(never)
    func noteEnd(
        of hold: Hold,
        since start: ContinuousClock.Instant,
        at moment: ContinuousClock.Instant,
        _ outcome: Outcome,
        _ votes: [Vote],
        begun: PostgresTimestamp?
    ) {
        var event = LockEvent(outcome.endOfHold, job, of: claim, at: moment)
        event.votes = votes
        event.outcome = outcome.name
        event.held = start.duration(to: moment)
        event.reason = outcome.reason
        event.notBefore = begun
        if case .lost(let margin) = outcome { event.validity = margin }
        ledger.note { $0.record(event) }
        debug("Lock released", votes, ["job.outcome": "\(outcome.name)"])
    }

    /// Notes the end of a hold that was given back, and what becomes of the job.
    ///
    /// - Returns: Whether the next job of the line may run now.
    @inline(never)
    func conclude(
        _ outcome: Outcome,
        of hold: Hold,
        _ part: HoldPart,
        _ votes: [Vote],
        begun: PostgresTimestamp?
    ) -> Bool {
        if case .stale = outcome {
            // Nothing was recorded of this hold, and nothing was done under it.
        } else {
            noteEnd(of: hold, since: part.start, at: part.end, outcome, votes, begun: begun)
        }
        // Lost while it was being recorded, as when the database is away: that is no fault of the job's.
        if case .lost = outcome, !part.hasBegun {
            return conclude(.outage("the lock was lost before the task started"), startedAt: nil)
        }
        return conclude(outcome, startedAt: part.startedAt)
    }

    /// Notes what becomes of the job.
    ///
    /// - Returns: Whether the next job of the line may run now.
    @inline(never)
    func conclude(_ outcome: Outcome, startedAt: PostgresTimestamp?) -> Bool {
        switch outcome {
        case .succeeded:
            ledger.note { $0.finish(job, .succeeded, startedAt: startedAt) }
            runner.outages.ended(claim.key)
            return true
        case .interrupted:
            giveBack(after: .zero)
            return false
        case .outage(let reason):
            if PlantedBug.outageCounted.isPlanted { return fail(reason, startedAt) }
            putOff(reason)
            return false
        case .stale(let reason):
            noteRefusal(reason)
            return false
        case .refused(let reason):
            return fail(reason, startedAt)
        case .cancelled:
            logger.info("Job cancelled")
            ledger.note { $0.finish(job, .cancelled, startedAt: startedAt) }
            return true
        case .said(.snoozed(let delay, let reason)):
            ledger.note { $0.retry(job, error: reason, after: max(delay, .zero), counts: false) }
            return false
        case .said(.retried(let delay, let reason)):
            return fail(reason, startedAt, retryAfter: max(delay, .zero))
        case .said(.failed(let reason)):
            return failForGood(reason, startedAt)
        case .lost, .overrun, .failed:
            return fail(outcome.reason ?? outcome.name, startedAt)
        }
    }

    @inline(never)
    func noteRefusal(_ reason: String) {
        var event = LockEvent(.refused, job, of: claim, at: runner.clock.now)
        event.reason = reason
        ledger.note { $0.record(event) }
    }

    @inline(never)
    func fail(_ reason: String, _ startedAt: PostgresTimestamp?, retryAfter delay: Duration? = nil) -> Bool {
        guard job.attempt < job.maxAttempts else { return failForGood(reason, startedAt) }
        logger.info("Attempt failed, to be retried", metadata: ["error": "\(reason)"])
        let delay = delay ?? RetryBackoff.delay(afterAttempt: job.attempt, runner.redlock.configuration.chance())
        ledger.note { $0.retry(job, error: reason, after: delay) }
        return false
    }

    @inline(never)
    func failForGood(_ reason: String, _ startedAt: PostgresTimestamp?) -> Bool {
        logger.info("Job failed", metadata: ["error": "\(reason)"])
        ledger.note { $0.finish(job, .failed, error: reason, startedAt: startedAt) }
        return true
    }

    /// Puts the job back at its place, with no attempt burned.
    @inline(never)
    func giveBack(after delay: Duration) {
        ledger.note { $0.delay = delay }
    }

    /// Puts the job back at its place, with no attempt burned, if what its kind needs is away.
    @inline(never)
    func putOffByObstacle() -> Bool {
        guard let obstacle = runner.obstacle(for: job.kind) else { return false }
        putOff(obstacle)
        return true
    }

    /// Puts the job back at its place, with no attempt burned: it could not be run, through no fault of its own.
    @inline(never)
    private func putOff(_ reason: String) {
        let chance = runner.redlock.configuration.chance()
        let (delay, told) = runner.outages.putOff(claim.key, reason, chance, at: runner.clock.now)
        if let told {
            logger.warning("Attempt put off", metadata: ["error": "\(reason)", "attempts": "\(told)"])
        } else {
            logger.debug("Attempt put off", metadata: ["error": "\(reason)"])
        }
        // With the reason, so that those who ask why it waits are told.
        ledger.note { $0.retry(job, error: reason, after: delay, counts: false) }
    }

    /// Puts the job back that had no lock.
    @inline(never)
    func giveBack(_ acquisition: Acquisition, in span: (any Span)?) {
        switch acquisition {
        case .granted: break
        case .held(let votes):
            note("kept out", in: span)
            wait(votes)
        case .noQuorum(let votes):
            note("no quorum", in: span)
            debug("No quorum for the lock", votes)
            let others = votes.filter { $0.verdict != .granted }.map { "\($0.node) \($0.verdict.rawValue)" }
            putOff("too few lock nodes voted for its lock: \(others.joined(separator: ", "))")
        }
    }

    private func wait(_ votes: [Vote]) {
        debug("Kept out by another holder", votes)
        let delay = runner.redlock.configuration.nextRetryDelay()
        ledger.note { settlement in
            if waited == nil {
                var event = LockEvent(.waiting, job, of: claim, at: runner.clock.now)
                event.votes = votes
                event.reason = "another holds the lock"
                settlement.record(event)
            }
            settlement.isWaiting = true
            settlement.delay = delay
        }
    }

    /// A logger is made for each message: that costs more than a message that is not wanted should.
    @inline(never)
    func debug(_ message: Logger.Message, _ votes: [Vote], _ metadata: @autoclosure () -> Logger.Metadata = [:]) {
        guard runner.logger.logLevel <= .debug else { return }
        logger.debug(message, metadata: metadata().merging(["lock.votes": "\(votes.summary)"]) { $1 })
    }
}
