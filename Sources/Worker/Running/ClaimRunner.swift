package import Holdfast
package import Logging
package import Redlock
import ServiceLifecycle

/// Runs the jobs of a claim in order, one hold for each.
package final class ClaimRunner: Sendable {
    let configuration: WorkerConfiguration
    let redlock: Redlock
    let handlers: [String: any TaskHandler]
    let history: LockHistory
    let settler: Settler
    let work: RunningWork
    let clock: any MonotonicClock
    let logger: Logger
    let metrics = WorkerMetrics()

    /// - Parameters:
    ///   - configuration: The worker's.
    ///   - redlock: Locks each job's key.
    ///   - handlers: The code for each kind of job.
    ///   - history: Where acquisitions are written ahead.
    ///   - settler: Records what became of the jobs.
    ///   - work: The tasks that run, and what is asked of them.
    ///   - clock: Measures what `redlock` does; a simulation passes its own.
    ///   - logger: For each job.
    package init(
        configuration: WorkerConfiguration,
        redlock: Redlock,
        handlers: [String: any TaskHandler],
        history: LockHistory,
        settler: Settler,
        work: RunningWork,
        clock: any MonotonicClock = ContinuousClock(),
        logger: Logger
    ) {
        self.configuration = configuration
        self.redlock = redlock
        self.handlers = handlers
        self.history = history
        self.settler = settler
        self.work = work
        self.clock = clock
        self.logger = logger
    }

    /// Runs a claim, and settles it.
    ///
    /// - Parameters:
    ///   - claim: A line and a run of its jobs.
    ///   - onEnd: Called when no task runs any more, before the last settlement.
    /// - Returns: How the last settlement went, and after what delay the line is ready again.
    package func run(_ claim: Claim, onEnd: () -> Void) async -> (result: SettlementResult?, delay: Duration) {
        let ledger = RunLedger(claim)
        await withDiscardingTaskGroup { group in
            group.addTask { [settler] in await ledger.settleParts(with: settler) }
            await attemptAll(claim, ledger)
            ledger.end()
        }
        onEnd()
        let last = ledger.takeLast()
        return (await settler.settle(last), last.delay)
    }

    private func attemptAll(_ claim: Claim, _ ledger: RunLedger) async {
        let end = clock.now.advanced(by: configuration.runTimeSlice)
        for (index, job) in claim.jobs.enumerated() {
            if index > 0 {
                let mayGoOn =
                    clock.now < end && !ledger.isStale && !work.paused.contains(claim.queue)
                    && !Task.isCancelled && !Task.isShuttingDownGracefully
                guard mayGoOn else { return }
                ledger.settleSoon()
            }
            let isFirst = index == 0
            let attempt = Attempt(
                job: job,
                claim: claim,
                waited: isFirst ? claim.waited : nil,
                runner: self,
                ledger: ledger
            )
            guard await attempt.run() else { return }
        }
    }
}
