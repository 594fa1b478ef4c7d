package import Holdfast
package import Logging
import PlantedBugs
package import Redlock
import ServiceLifecycle

/// Runs the jobs of a claim in order: brief ones that follow each other under one hold, any other under its own.
package final class ClaimRunner: Sendable {
    /// How many jobs a hold is said to serve: at first, and at most.
    ///
    /// Each that it does not come to was named for nothing.
    private static let jobsPerHold = (first: 32, most: 256)

    let configuration: WorkerConfiguration
    let redlock: Redlock
    let handlers: [String: any TaskHandler]
    let history: LockHistory
    let settler: Settler
    let work: RunningWork
    let outages = Outages()
    private let taskExecutor: (any TaskExecutor)?
    private let briefKinds: Set<String>
    let clock: any MonotonicClock
    let logger: Logger
    let metrics = WorkerMetrics()
    private let (parts, part) = AsyncStream.makeStream(of: RunLedger.self)

    /// - Parameters:
    ///   - configuration: The worker's.
    ///   - redlock: Locks each job's key.
    ///   - handlers: The code for each kind of job.
    ///   - history: Where acquisitions are written ahead.
    ///   - settler: Records what became of the jobs.
    ///   - work: The tasks that run, and what is asked of them.
    ///   - taskExecutor: Where a job's own code runs, unless that is brief; `nil` for where all else does.
    ///   - clock: Measures what `redlock` does; a simulation passes its own.
    ///   - logger: For each job.
    package init(
        configuration: WorkerConfiguration,
        redlock: Redlock,
        handlers: [String: any TaskHandler],
        history: LockHistory,
        settler: Settler,
        work: RunningWork,
        taskExecutor: (any TaskExecutor)? = nil,
        clock: any MonotonicClock = ContinuousClock(),
        logger: Logger
    ) {
        self.configuration = configuration
        self.redlock = redlock
        self.handlers = handlers
        self.history = history
        self.settler = settler
        self.work = work
        self.taskExecutor = taskExecutor
        briefKinds = Set(handlers.filter { $0.value is any BriefTask }.keys)
        self.clock = clock
        self.logger = logger
    }

    /// Why no job of a kind can be begun now, in words; `nil` when one can.
    func obstacle(for kind: String) -> String? { (handlers[kind] as? any GatedTask)?.obstacle }

    /// Where the code of a kind of job runs; `nil` for where all else does.
    func executor(for kind: String) -> (any TaskExecutor)? { briefKinds.contains(kind) ? nil : taskExecutor }

    /// Settles parts of runs while `body` runs claims; on the same executor as those, or each would wake one thread more.
    package func settlingParts(on executor: (any TaskExecutor)?, _ body: () async -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask(executorPreference: executor) { [self] in
                await withDiscardingTaskGroup { group in
                    for await ledger in parts { group.addTask { [settler] in await ledger.settlePart(with: settler) } }
                }
            }
            await body()
            part.finish()
        }
    }

    /// Runs a claim, and settles it; to be called within ``settlingParts(_:)``.
    ///
    /// - Parameters:
    ///   - claim: A line and a run of its jobs.
    ///   - onEnd: Called when no task runs any more, before the last settlement.
    /// - Returns: How the last settlement went, and after what delay the line is ready again.
    package func run(_ claim: Claim, onEnd: () -> Void) async -> (result: SettlementResult?, delay: Duration) {
        let ledger = RunLedger(claim, parts: part)
        await attemptAll(claim, ledger)
        work.tasks.forget(claim.jobs)
        onEnd()
        let last = await ledger.takeLast()
        return (await settler.settle(last), last.value.delay)
    }

    private func attemptAll(_ claim: Claim, _ ledger: RunLedger) async {
        let end = clock.now.advanced(by: configuration.runTimeSlice)
        var index = 0
        var share = Self.jobsPerHold.first
        var handedOver: Attempt.Try?
        while let attempt = attempt(index, of: claim, ledger) {
            let followers = followers(of: attempt, at: index, most: share - 1, of: claim, ledger)
            let start = index
            let result = await attempt.run(handedOver, followers) { [self] sliceEnd in
                mayGoOn(claim, ledger, until: min(end, sliceEnd))
            } next: { count in
                mayGoOn(claim, ledger, until: end) ? self.attempt(start + count, of: claim, ledger) : nil
            }
            index += result.count
            share = min(Self.jobsPerHold.most, result.count < share ? result.count + 8 : share * 2)
            handedOver = result.handedOver
            guard result.mayGoOn, index < claim.jobs.count, handedOver != nil || mayGoOn(claim, ledger, until: end)
            else {
                return
            }
            if handedOver == nil { ledger.settleSoon() }
        }
    }

    @inline(never)
    private func attempt(_ index: Int, of claim: Claim, _ ledger: RunLedger) -> Attempt? {
        guard index < claim.jobs.count else { return nil }
        return Attempt(claim.jobs[index], of: claim, runner: self, ledger: ledger)
    }

    /// The attempts that may run under the hold of another: brief ones that follow it and each other.
    @inline(never)
    private func followers(
        of attempt: Attempt,
        at index: Int,
        most: Int,
        of claim: Claim,
        _ ledger: RunLedger
    ) -> [Attempt] {
        guard attempt.mayShare, !JobTrace.isOn else { return [] }
        var followers: [Attempt] = []
        while followers.count < most,
            let next = self.attempt(index + followers.count + 1, of: claim, ledger), next.mayShare
        {
            followers.append(next)
        }
        return followers
    }

    // Not inlined, or its temporaries would stay in the memory of each claim that runs.
    @inline(never)
    private func mayGoOn(_ claim: Claim, _ ledger: RunLedger, until end: ContinuousClock.Instant) -> Bool {
        clock.now < end && !ledger.isStale && !work.paused.contains(claim.queue)
            && !Task.isCancelled && !Task.isShuttingDownGracefully
    }
}
