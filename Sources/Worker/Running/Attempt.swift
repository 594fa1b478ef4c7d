import Holdfast
import Logging
import PlantedBugs
import Postgres
import Redlock
import Synchronization
import Tracing

/// One attempt of a job: acquire, record, run, release, note what became of it.
///
/// Some of it is not inlined, or its temporaries would stay in the memory of each job that runs.
final class Attempt: Sendable {
    /// How long a job of a kind that this worker does not know is left to the others.
    static let unknownKindDelay: Duration = .seconds(5)

    /// In an attempt that is traced, a part of the attempt's span, as its task and its settle are.
    let job: ClaimedJob
    let claim: Claim
    /// How long a foreign holder has kept the job out before this try; `nil` when none has.
    let waited: Duration?
    /// The code to run; `nil` for a kind of job that this worker does not know.
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
    ///   - next: The attempt that is to follow at once if this one succeeds; `nil` if none is.
    /// - Returns: Whether the next job of the line may run now, and the try for its lock, if that was made.
    @inline(never)
    func run(_ handedOver: Try?, next: () -> Attempt?) async -> (mayGoOn: Bool, handedOver: Try?) {
        guard mayBegin else { return (end(), nil) }
        return JobTrace.isOn ? await runTraced() : await run(handedOver, next, nil)
    }

    /// Each attempt shows how its own lock was had, and none hands it over.
    @inline(never)
    private func runTraced() async -> (mayGoOn: Bool, handedOver: Try?) {
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
            return await traced.run(nil, { nil }, span)
        }
    }

    /// Whether the attempt is not over before it has begun.
    private var mayBegin: Bool { !job.isCancelled && job.attempt <= job.maxAttempts && handler != nil }

    private func run(
        _ handedOver: Try?,
        _ next: () -> Attempt?,
        _ span: (any Span)?
    ) async -> (mayGoOn: Bool, handedOver: Try?) {
        let attempt = if let handedOver { handedOver } else { await tryAcquire(isTraced: span != nil) }
        guard case .granted(let hold) = attempt.acquisition else {
            giveBack(attempt.acquisition, in: span)
            return (false, nil)
        }
        return await run(under: hold, since: attempt.start, next, span)
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
                do {
                    try await runner.work.tasks.run(job.id, watch) {
                        try await runHandler(context(hold), isTraced: span != nil)
                    }
                } catch let refusal as TaskRefusal {
                    // Here, because the attempt may end as lost before it is known how its task did.
                    noteRefusal(refusal.description)
                    throw refusal
                }
                if !isAhead { begun.value = try await recordAcquired(hold, since: start) }
            }
        }
        let ended = noteOutcome(outcome, of: hold, validUntil: validUntil, in: span)
        let (votes, handedOver) = await release(hold, next: outcome.isSuccess ? next() : nil)
        return (conclude(outcome, of: hold, at: ended, votes, startedAt: begun.value), handedOver)
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
