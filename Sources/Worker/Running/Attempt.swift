import Holdfast
import Logging
import PlantedBugs
import Redlock
import Tracing

/// One attempt of a job: acquire, record, run, release, note what became of it; and those of brief jobs behind it, under
/// the same hold.
///
/// Some of it is not inlined, or its temporaries would stay in the memory of each job that runs.
final class Attempt: Sendable {
    /// What a job may be declared to take that shares a hold with others.
    static let brief: Duration = .milliseconds(50)
    /// How long a hold serves one brief job after the other, from its record, before others may have the lock.
    private static let sharedHold: Duration = .milliseconds(100)

    /// In an attempt that is traced, a part of the attempt's span, as its task and its settle are.
    let job: ClaimedJob
    let claim: Claim
    /// How long a foreign holder has kept the job out before this try; `nil` when none has.
    let waited: Duration?
    /// The code to run; never `nil`, as a claim has jobs of the worker's kinds only.
    private let handler: (any TaskHandler)?
    let runner: ClaimRunner
    let ledger: RunLedger

    init(_ job: ClaimedJob, of claim: Claim, runner: ClaimRunner, ledger: RunLedger) {
        self.job = job
        self.claim = claim
        waited = job.place == claim.jobs[0].place ? claim.waited : nil
        handler = runner.handlers[job.kind]
        self.runner = runner
        self.ledger = ledger
    }

    var logger: Logger { job.logger(runner.logger, key: claim.key) }

    /// A try for the lock; on the heap, because it is in the frames of all that waits under it.
    final class Try: Sendable {
        let start: ContinuousClock.Instant
        let acquisition: Acquisition

        init(start: ContinuousClock.Instant, acquisition: Acquisition) {
            self.start = start
            self.acquisition = acquisition
        }
    }

    /// Runs the attempt.
    ///
    /// - Parameters:
    ///   - handedOver: The try for the lock, if the attempt before has made it as it released its hold.
    ///   - followers: Attempts of the jobs behind this one that may run under its hold, one after the other.
    ///   - mayGoOn: Whether one more may, of a hold whose time is over then.
    ///   - next: The attempt that is to follow at once when so many under this hold have succeeded; `nil` if none is.
    /// - Returns: Whether the next job of the line may run now, how many ran, and the try for the next lock, if it was made.
    @inline(never)
    func run(
        _ handedOver: Try?,
        _ followers: [Attempt],
        mayGoOn: @escaping @Sendable (ContinuousClock.Instant) -> Bool,
        next: (Int) -> Attempt?
    ) async -> Result {
        guard mayBegin else { return Result(mayGoOn: end()) }
        if JobTrace.isOn { return await runTraced() }
        return await run(handedOver, followers, mayGoOn, next, nil)
    }

    /// What an attempt leaves to the run that it is a part of.
    struct Result {
        /// Whether the next job of the line may run now.
        var mayGoOn: Bool
        /// How many jobs are dealt with: this one, and those that ran under its hold.
        var count = 1
        var handedOver: Try?
    }

    /// Whether its job may share a hold with others: it is brief, can begin, and was not begun before.
    ///
    /// When a worker dies, the attempt counts of the first job under a hold, though another may have killed it: run again,
    /// that first one has a hold of its own, and does not use up its attempts for what is behind it.
    var mayShare: Bool { mayBegin && job.duration <= Self.brief && job.attempt == 1 }

    /// Each attempt shows how its own lock was had, and none hands it over.
    @inline(never)
    private func runTraced() async -> Result {
        await withSpan("attempt", context: JobTrace.context(of: job.traceparent), ofKind: .consumer) { span in
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
            return await traced.run(nil, [], { _ in false }, { _ in nil }, span)
        }
    }

    /// Whether the attempt is not over before it has begun.
    private var mayBegin: Bool { !job.isCancelled && job.attempt <= job.maxAttempts && handler != nil }

    private func run(
        _ handedOver: Try?,
        _ followers: [Attempt],
        _ mayGoOn: @escaping @Sendable (ContinuousClock.Instant) -> Bool,
        _ next: (Int) -> Attempt?,
        _ span: (any Span)?
    ) async -> Result {
        // A claim may have been made before what its jobs need went away.
        if handedOver == nil, putOffByObstacle() { return Result(mayGoOn: false) }
        let attempt = if let handedOver { handedOver } else { await tryAcquire(isTraced: span != nil) }
        guard case .granted(let hold) = attempt.acquisition else {
            giveBack(attempt.acquisition, in: span)
            return Result(mayGoOn: false)
        }
        let progress = HoldProgress(start: hold.acquiredAt)
        return await run(under: hold, since: attempt.start, followers, progress, mayGoOn, next, span)
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
        guard let next, next.mayBegin else { return (await runner.redlock.release(hold), nil) }
        let start = runner.clock.now
        let (votes, acquisition) = await runner.redlock.handOver(hold, token: next.makeToken(), ttl: next.ttl)
        return (votes, Try(start: start, acquisition: acquisition))
    }

    private func makeToken() -> String {
        "\(job.fence).\(String(UInt64.random(in: .min ... .max), radix: 36))"
    }

    /// A shorter one is as safe: the hold is extended while the task runs.
    private var ttl: Duration { min(job.lockTTL, runner.redlock.configuration.longestTTL) }

    @inline(never)
    private func run(
        under hold: Hold,
        since start: ContinuousClock.Instant,
        _ followers: [Attempt],
        _ progress: HoldProgress,
        _ mayGoOn: @escaping @Sendable (ContinuousClock.Instant) -> Bool,
        _ next: (Int) -> Attempt?,
        _ span: (any Span)?
    ) async -> Result {
        debug("Lock acquired", hold.votes)
        var validUntil = hold.validUntil
        let watch = Watch()
        let outcome = await Outcome {
            try await runner.redlock.keep(hold, limit: nil, watch: watch) { extended in
                validUntil = extended.validUntil
                noteExtension(of: extended)
            } _: { [self] in
                // Written ahead: there is no effect without a record.
                let isAhead = !PlantedBug.acquiredAfterwards.isPlanted
                if isAhead { progress.begin(try await recordAcquired(hold, since: start, followers)) }
                let slice = PlantedBug.endlessSlice.isPlanted ? Duration.seconds(3600) : Self.sharedHold
                let sliceEnd = runner.clock.now.advanced(by: slice)
                try await runTask(under: hold, watch, progress, isTraced: span != nil)
                for follower in followers where progress.serves(follower.job.id) {
                    guard !watch.isOver, !Task.isCancelled, mayGoOn(sliceEnd) else { break }
                    progress.pass(at: runner.clock.now)
                    try await follower.runTask(under: hold, watch, progress, isTraced: false)
                }
                if !isAhead { progress.begin(try await recordAcquired(hold, since: start, followers)) }
            }
        }
        return await conclude(outcome, hold, validUntil, [self] + followers, progress, next, span)
    }

    /// Notes what became of the jobs that ran under a hold, and gives it back.
    @inline(never)
    private func conclude(
        _ outcome: Outcome,
        _ hold: Hold,
        _ validUntil: ContinuousClock.Instant,
        _ attempts: [Attempt],
        _ progress: HoldProgress,
        _ next: (Int) -> Attempt?,
        _ span: (any Span)?
    ) async -> Result {
        let ran = progress.attempts(of: attempts)
        let last = ran[ran.count - 1]
        let ended = last.noteOutcome(outcome, since: progress.start, validUntil: validUntil, in: span)
        let dealtWith = progress.count(of: attempts, ran)
        let (votes, handedOver) = await release(hold, next: outcome.isSuccess ? next(dealtWith) : nil)
        let (parts, recorded) = progress.parts(endingAt: ended)
        let mayGoOn = ledger.noteTogether {
            if let recorded {
                for (attempt, part) in zip(ran, parts).dropLast() { attempt.notePassed(part, recorded) }
            }
            return last.conclude(outcome, of: hold, parts[parts.count - 1], votes, begun: recorded?.at)
        }
        return Result(mayGoOn: mayGoOn, count: dealtWith, handedOver: handedOver)
    }

    /// Runs the job's task; its limit counts from here.
    private func runTask(
        under hold: Hold,
        _ watch: Watch,
        _ progress: HoldProgress,
        isTraced: Bool
    ) async throws {
        try Task.checkCancellation()
        progress.beginTask()
        let start = PlantedBug.limitFromAcquisition.isPlanted ? hold.acquiredAt : runner.clock.now
        watch.setLimit(start.advanced(by: job.timeout ?? job.duration + runner.configuration.grace))
        do {
            try await runner.work.tasks.run(job.id, watch) { try await runHandler(context(hold), isTraced: isTraced) }
        } catch let refusal as TaskRefusal {
            // Here, because the attempt may end as lost before it is known how its task did.
            noteRefusal(refusal.description)
            throw refusal
        }
    }

    /// A job's own code may hold its thread: it is not run where lock nodes' answers come in.
    private func runHandler(_ context: TaskContext, isTraced: Bool) async throws {
        if isTraced { return try await runTraced(context) }
        guard let handler else { return }
        if let executor = runner.executor(for: job.kind) {
            try await run(handler, context, on: executor)
        } else {
            try await handler.run(context)
        }
    }

    @inline(never)
    private func run(
        _ handler: any TaskHandler,
        _ context: TaskContext,
        on executor: any TaskExecutor
    ) async throws {
        try await withTaskExecutorPreference(executor) { try await handler.run(context) }
    }

    @inline(never)
    private func runTraced(_ context: TaskContext) async throws {
        try await withSpan("task") { _ in try await runHandler(context, isTraced: false) }
    }

    private func recordAcquired(
        _ hold: Hold,
        since start: ContinuousClock.Instant,
        _ followers: [Attempt]
    ) async throws -> HoldReceipt {
        let event = acquiredEvent(hold, since: start, followers)
        try Task.checkCancellation()
        if let recorded = try await ledger.record(acquired: event) { return recorded }
        do {
            return try await runner.history.append(event)
        } catch let stale as StaleClaim {
            throw stale
        } catch {
            throw HistoryOutage(reason: "\(error)")
        }
    }
}
