import Holdfast
import Logging
import Redlock
import ServiceLifecycle

/// Runs the jobs of a claim in order, one hold for each.
struct ClaimRunner: Sendable {
    let configuration: WorkerConfiguration
    let redlock: Redlock
    let handlers: [String: any TaskHandler]
    let history: LockHistory
    let settler: Settler
    let control: WorkerControl
    let logger: Logger

    /// Runs a claim, and settles it.
    ///
    /// - Parameters:
    ///   - claim: A line and a run of its jobs.
    ///   - onEnd: Called when no task runs any more, before the last settlement.
    /// - Returns: How the last settlement went, and after what delay the line is ready again.
    func run(_ claim: Claim, onEnd: () -> Void) async -> (result: SettlementResult?, delay: Duration) {
        let ledger = RunLedger(claim)
        await withDiscardingTaskGroup { group in
            group.addTask { await ledger.settleParts(with: settler) }
            await attemptAll(claim, ledger)
            ledger.end()
        }
        onEnd()
        let last = ledger.takeLast()
        return (await settler.settle(last), last.delay)
    }

    private func attemptAll(_ claim: Claim, _ ledger: RunLedger) async {
        let end = ContinuousClock.now.advanced(by: configuration.runTimeSlice)
        for (index, job) in claim.jobs.enumerated() {
            if index > 0 {
                let mayGoOn =
                    ContinuousClock.now < end && !ledger.isStale && !control.paused.contains(claim.queue)
                    && !Task.isCancelled && !Task.isShuttingDownGracefully
                guard mayGoOn else { return }
                ledger.settleSoon()
            }
            var logger = logger
            logger[metadataKey: "job.id"] = "\(job.id)"
            logger[metadataKey: "job.key"] = "\(claim.key)"
            logger[metadataKey: "job.fence"] = "\(job.fence)"
            logger[metadataKey: "job.attempt"] = "\(job.attempt)"
            let isFirst = index == 0
            let attempt = Attempt(
                job: job,
                claim: claim,
                waited: isFirst ? claim.waited : nil,
                runner: self,
                ledger: ledger,
                logger: logger
            )
            guard await attempt.run() else { return }
        }
    }
}
