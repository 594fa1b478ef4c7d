import Holdfast
import Logging
import PlantedBugs
import Postgres
import Redlock
import Synchronization
import Tracing

/// One attempt of a job: acquire, record, run, release, note what became of it.
final class Attempt: Sendable {
    /// How long a job of a kind that this worker does not know is left to the others.
    private static let unknownKindDelay: Duration = .seconds(5)

    /// In an attempt that is traced, a part of the attempt's span, as its task and its settle are.
    let job: ClaimedJob
    let claim: Claim
    /// How long a foreign holder has kept the job out before this try; `nil` when none has.
    private let waited: Duration?
    private let runner: ClaimRunner
    private let ledger: RunLedger

    init(_ job: ClaimedJob, of claim: Claim, runner: ClaimRunner, ledger: RunLedger) {
        self.job = job
        self.claim = claim
        waited = job.place == claim.jobs[0].place ? claim.waited : nil
        self.runner = runner
        self.ledger = ledger
    }

    private var logger: Logger { job.logger(runner.logger, key: claim.key) }

    /// A try for the lock.
    struct Try: Sendable {
        let start: ContinuousClock.Instant
        let acquisition: Acquisition
    }

    /// Runs the attempt.
    ///
    /// - Parameters:
    ///   - handedOver: The try for the lock, if the attempt before has made it as it released its hold.
    ///   - next: The attempt that is to follow at once if this one succeeds; `nil` if none is.
    /// - Returns: Whether the next job of the line may run now, and the try for its lock, if that was made.
    func run(_ handedOver: Try?, next: () -> Attempt?) async -> (mayGoOn: Bool, handedOver: Try?) {
        guard let handler else { return (end(), nil) }
        guard JobTrace.isOn else { return await run(handler, handedOver, next, nil) }
        return await withSpan("attempt", context: JobTrace.context(of: job.traceparent), ofKind: .consumer) { span in
            span.updateAttributes { attributes in
                attributes["holdfast.job.id"] = job.id.rawValue
                attributes["holdfast.job.kind"] = job.kind
                attributes["holdfast.job.attempt"] = job.attempt
                attributes["holdfast.job.fence"] = job.fence.rawValue
                attributes["holdfast.queue"] = claim.queue
                attributes["holdfast.claim.fence"] = claim.fence.rawValue
                attributes["holdfast.claim.waited_ms"] = claim.wasReady.milliseconds
            }
            let part = job.traced(as: JobTrace.traceparent(in: span, else: job.traceparent))
            let traced = Attempt(part, of: claim, runner: runner, ledger: ledger)
            // Each attempt shows how its own lock was had.
            return await traced.run(handler, nil, { nil }, span)
        }
    }

    /// The code to run; `nil` when the attempt is over before it has begun.
    private var handler: (any TaskHandler)? {
        job.isCancelled || job.attempt > job.maxAttempts ? nil : runner.handlers[job.kind]
    }

    /// Ends an attempt that is not to be begun.
    ///
    /// - Returns: Whether the next job of the line may run now.
    private func end() -> Bool {
        if job.isCancelled {
            ledger.note { $0.finish(job, .cancelled) }
            return true
        }
        if job.attempt > job.maxAttempts {
            ledger.note { $0.finish(job, .failed, error: "no attempt is left of \(job.maxAttempts)") }
            return true
        }
        let reason = "no handler for kind \(job.kind) in worker \(runner.configuration.name)"
        logger.warning("No handler for this kind of job; it waits for a worker that has one")
        ledger.note { $0.retry(job, error: reason, after: Self.unknownKindDelay, counts: false) }
        return false
    }

    private func run(
        _ handler: any TaskHandler,
        _ handedOver: Try?,
        _ next: () -> Attempt?,
        _ span: (any Span)?
    ) async -> (mayGoOn: Bool, handedOver: Try?) {
        let attempt = if let handedOver { handedOver } else { await tryAcquire(isTraced: span != nil) }
        switch attempt.acquisition {
        case .granted(let hold):
            return await run(handler, under: hold, since: attempt.start, next, span)
        case .held(let votes):
            span?.attributes["holdfast.outcome"] = "kept out"
            wait(votes)
        case .noQuorum(let votes):
            span?.attributes["holdfast.outcome"] = "no quorum"
            debug("No quorum for the lock", votes)
            giveBack(after: runner.redlock.configuration.nextRetryDelay())
        }
        return (false, nil)
    }

    private func tryAcquire(isTraced: Bool) async -> Try {
        let start = runner.clock.now
        let acquire = { [self] in await runner.redlock.tryAcquire(claim.key, token: makeToken(), ttl: ttl) }
        return Try(
            start: start,
            acquisition: isTraced ? await withSpan("acquire") { _ in await acquire() } : await acquire()
        )
    }

    /// Gives a hold back; the next attempt's try for the lock goes along, if there is one that is to follow.
    private func release(_ hold: Hold, next: Attempt?) async -> (votes: [Vote], handedOver: Try?) {
        guard let next, next.handler != nil else { return (await runner.redlock.release(hold), nil) }
        let start = runner.clock.now
        let (votes, acquisition) = await runner.redlock.handOver(hold, token: next.makeToken(), ttl: next.ttl)
        return (votes, Try(start: start, acquisition: acquisition))
    }

    private func makeToken() -> String {
        "\(job.fence).\(String(UInt64.random(in: .min ... .max), radix: 36))"
    }

    /// A shorter one is as safe: the hold is extended while the task runs.
    private var ttl: Duration { min(job.lockTTL, runner.redlock.configuration.longestTTL) }

    private func run(
        _ handler: any TaskHandler,
        under hold: Hold,
        since start: ContinuousClock.Instant,
        _ next: () -> Attempt?,
        _ span: (any Span)?
    ) async -> (mayGoOn: Bool, handedOver: Try?) {
        debug("Lock acquired", hold.votes)
        let begun = Mutexed<PostgresTimestamp?>(nil)
        var validUntil = hold.validUntil
        let limit = job.timeout ?? job.duration + runner.configuration.grace
        let watch = Watch()
        let outcome = await Outcome {
            try await runner.redlock.keep(hold, limit: limit, watch: watch) { extended in
                validUntil = extended.validUntil
                noteExtension(of: extended)
            } _: { [self] in
                // Written ahead: there is no effect without a record.
                let isAhead = !PlantedBug.acquiredAfterwards.isPlanted
                if isAhead { begun.value = try await recordAcquired(hold, since: start) }
                try Task.checkCancellation()
                let context = TaskContext(
                    job: job,
                    hold: hold,
                    logger: runner.logger,
                    progress: runner.work.progress.post
                )
                do {
                    try await runner.work.tasks.run(job.id, watch) {
                        try await run(handler, context, isTraced: span != nil)
                    }
                } catch let refusal as TaskRefusal {
                    // Here, because the attempt may end as lost before it is known how its task did.
                    noteRefusal(refusal.description)
                    throw refusal
                }
                if !isAhead { begun.value = try await recordAcquired(hold, since: start) }
            }
        }
        span?.attributes["holdfast.outcome"] = outcome.name
        if let reason = outcome.reason { span?.setStatus(SpanStatus(code: .error, message: reason)) }
        // A process that was frozen finds out late that its hold had ended.
        let ended = min(runner.clock.now, validUntil)
        runner.metrics.ended(outcome, held: hold.acquiredAt.duration(to: ended))
        let isSuccess = if case .succeeded = outcome { true } else { false }
        let (votes, handedOver) = await release(hold, next: isSuccess ? next() : nil)
        if case .stale = outcome {
            // Nothing was recorded of this hold, and nothing was done under it.
        } else {
            noteEnd(of: hold, at: ended, outcome, votes, begun: begun.value)
        }
        return (conclude(outcome, startedAt: begun.value), handedOver)
    }

    /// A job's own code may hold its thread: it is not run where lock nodes' answers come in.
    private func run(_ handler: any TaskHandler, _ context: TaskContext, isTraced: Bool) async throws {
        try await withTaskExecutorPreference(runner.taskExecutor) {
            guard isTraced else { return try await handler.run(context) }
            try await withSpan("task") { _ in try await handler.run(context) }
        }
    }

    /// A logger is made for each message: that costs more than a message that is not wanted should.
    private func debug(_ message: Logger.Message, _ votes: [Vote], _ metadata: @autoclosure () -> Logger.Metadata = [:])
    {
        guard runner.logger.logLevel <= .debug else { return }
        logger.debug(message, metadata: metadata().merging(["lock.votes": "\(votes.summary)"]) { $1 })
    }

    private func recordAcquired(
        _ hold: Hold,
        since start: ContinuousClock.Instant
    ) async throws -> PostgresTimestamp {
        let event = acquiredEvent(hold, since: start)
        try Task.checkCancellation()
        if let begun = try await ledger.record(acquired: event) { return begun }
        do {
            return try await runner.history.append(event)
        } catch let stale as StaleClaim {
            throw stale
        } catch {
            throw HistoryOutage(reason: "\(error)")
        }
    }

    private func acquiredEvent(_ hold: Hold, since start: ContinuousClock.Instant) -> Box<LockEvent> {
        var event = LockEvent(.acquired, job, of: claim, at: hold.acquiredAt)
        event.token = hold.token
        event.votes = hold.votes
        event.validity = hold.acquiredAt.duration(to: hold.validUntil)
        let wait = (waited ?? .zero) + start.duration(to: hold.acquiredAt)
        event.waited = wait
        runner.metrics.acquired(after: wait)
        return Box(event)
    }

    private func noteExtension(of hold: Hold) {
        let now = runner.clock.now
        var event = LockEvent(.extended, job, of: claim, at: now)
        event.validity = now.duration(to: hold.validUntil)
        event.token = hold.token
        event.votes = hold.votes
        event.held = hold.acquiredAt.duration(to: now)
        ledger.note { $0.record(event) }
        ledger.settleSoon()
    }

    private func noteEnd(
        of hold: Hold,
        at moment: ContinuousClock.Instant,
        _ outcome: Outcome,
        _ votes: [Vote],
        begun: PostgresTimestamp?
    ) {
        var event = LockEvent(outcome.endOfHold, job, of: claim, at: moment)
        event.token = hold.token
        event.votes = votes
        event.outcome = outcome.name
        event.held = hold.acquiredAt.duration(to: moment)
        event.reason = outcome.reason
        event.notBefore = begun
        if case .lost(let margin) = outcome { event.validity = margin }
        ledger.note { $0.record(event) }
        debug("Lock released", votes, ["job.outcome": "\(outcome.name)"])
    }

    /// Notes what becomes of the job.
    ///
    /// - Returns: Whether the next job of the line may run now.
    private func conclude(_ outcome: Outcome, startedAt: PostgresTimestamp?) -> Bool {
        switch outcome {
        case .succeeded:
            ledger.note { $0.finish(job, .succeeded, startedAt: startedAt) }
            return true
        case .interrupted:
            giveBack(after: .zero)
            return false
        case .outage(let reason):
            logger.warning("Attempt put off", metadata: ["error": "\(reason)"])
            giveBack(after: .seconds(1) * (0.5 + runner.redlock.configuration.chance() / 2))
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

    private func noteRefusal(_ reason: String) {
        var event = LockEvent(.refused, job, of: claim, at: runner.clock.now)
        event.reason = reason
        ledger.note { $0.record(event) }
    }

    private func fail(_ reason: String, _ startedAt: PostgresTimestamp?, retryAfter delay: Duration? = nil) -> Bool {
        guard job.attempt < job.maxAttempts else { return failForGood(reason, startedAt) }
        logger.info("Attempt failed, to be retried", metadata: ["error": "\(reason)"])
        let delay = delay ?? RetryBackoff.delay(afterAttempt: job.attempt, runner.redlock.configuration.chance())
        ledger.note { $0.retry(job, error: reason, after: delay) }
        return false
    }

    private func failForGood(_ reason: String, _ startedAt: PostgresTimestamp?) -> Bool {
        logger.info("Job failed", metadata: ["error": "\(reason)"])
        ledger.note { $0.finish(job, .failed, error: reason, startedAt: startedAt) }
        return true
    }

    /// Puts the job back at its place, with no attempt burned.
    private func giveBack(after delay: Duration) {
        ledger.note { $0.delay = delay }
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
}

/// A value that two tasks share.
private final class Mutexed<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>

    init(_ value: Value) { storage = Mutex(value) }

    var value: Value {
        get { storage.withLock { $0 } }
        set { storage.withLock { $0 = newValue } }
    }
}
