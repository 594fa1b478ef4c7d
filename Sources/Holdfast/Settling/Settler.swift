import CoreMetrics
package import Logging
package import Redlock
import Tracing

/// Settles the claims of one worker in batches, and does not give up while the database is away.
package struct Settler: Sendable {
    private let batches: GroupCommit<Box<Settlement>, SettlementResult>
    private let record: @Sendable ([Settlement], Bool) async throws -> [SettlementResult]
    private let clock: any MonotonicClock
    private let chance: @Sendable () -> Double
    private let logger: Logger
    private let metrics = SettleMetrics()

    package init(store: JobStore, logger: Logger) {
        self.init(logger: logger) { try await store.settle($0, inDoubt: $1) }
    }

    /// - Parameters:
    ///   - clock: Measures pauses; a simulation passes its own.
    ///   - chance: Gives numbers from 0 to 1.
    ///   - logger: For settlements that are delayed.
    ///   - record: Records settlements; told whether they may have been recorded already.
    package init(
        clock: any MonotonicClock = ContinuousClock(),
        chance: @escaping @Sendable () -> Double = { Double.random(in: 0...1) },
        logger: Logger,
        record: @escaping @Sendable ([Settlement], Bool) async throws -> [SettlementResult]
    ) {
        self.record = record
        self.clock = clock
        self.chance = chance
        self.logger = logger
        batches = GroupCommit("settle", waitingLimit: 100_000, batchLimit: 500, inFlightLimit: 2) {
            try await record($0.map(\.value), false)
        }
    }

    /// Records a settlement; concurrent calls share a transaction.
    ///
    /// It tries until it is recorded or found stale; when the task is cancelled, for five more seconds. After a failure the
    /// hold of the run's next job is recorded no more.
    /// - Returns: How it went; `nil` when it was given up, and its line is left to rescue.
    package func settle(_ settlement: Box<Settlement>) async -> SettlementResult? {
        JobTrace.isOn ? await settleTraced(settlement) : await settleUntilRecorded(settlement)
    }

    private func settleTraced(_ settlement: Box<Settlement>) async -> SettlementResult? {
        let (finished, retried) = (settlement.value.finished, settlement.value.retried)
        let jobs = finished.map(\.job) + (retried.map { [$0.job] } ?? [])
        guard let first = jobs.first else { return await settleUntilRecorded(settlement) }
        return await withSpan("settle", context: JobTrace.context(of: first.traceparent)) { span in
            // One transaction for all of them: a part of the first one's trace, and linked to the others'.
            for job in jobs.dropFirst() where job.traceparent != nil {
                span.addLink(SpanLink(context: JobTrace.context(of: job.traceparent), attributes: [:]))
            }
            return await settleUntilRecorded(settlement)
        }
    }

    private func settleUntilRecorded(_ settlement: Box<Settlement>) async -> SettlementResult? {
        do {
            let result = try await batches.submit(settlement)
            metrics.count(result, of: settlement.value)
            return result == .busy ? await settleAgain(contested(settlement), inDoubt: false) : result
        } catch {
            delayed(settlement, error)
            return await settleAgain(withoutAcquired(settlement), inDoubt: true)
        }
    }

    private func settleAgain(_ settlement: Box<Settlement>, inDoubt: Bool) async -> SettlementResult? {
        var settlement = settlement
        var backoff: Duration = .milliseconds(20)
        var inDoubt = inDoubt
        var end: ContinuousClock.Instant?
        while true {
            let pause = backoff * (0.5 + chance() / 2)
            // A task of its own, because a cancelled one does not sleep.
            await Task { [clock] in try? await clock.sleep(for: pause) }.value
            do {
                // After a failure alone, so that one that cannot be recorded does not hold back the others.
                let result =
                    inDoubt ? try await settleAlone(settlement) : try await batches.submit(settlement)
                metrics.count(result, of: settlement.value)
                guard result == .busy else { return result }
            } catch {
                if !inDoubt { delayed(settlement, error) } else { metrics.failed.increment() }
                inDoubt = true
                settlement = withoutAcquired(settlement)
                backoff = min(backoff * 2, .seconds(2))
            }
            guard Task.isCancelled else { continue }
            let limit = end ?? clock.now.advanced(by: .seconds(5))
            end = limit
            guard clock.now < limit else {
                logger.error(
                    "Settlement given up, its line is left to rescue",
                    metadata: ["job.key": "\(settlement.value.claim.key)"]
                )
                return nil
            }
        }
    }

    // Not inlined, as the metrics are not.
    @inline(never)
    private func delayed(_ settlement: Box<Settlement>, _ error: any Error) {
        metrics.failed.increment()
        logger.warning(
            "Settlement delayed",
            metadata: ["job.key": "\(settlement.value.claim.key)", "error": "\(error)"]
        )
    }

    @inline(never)
    private func contested(_ settlement: Box<Settlement>) -> Box<Settlement> {
        var contested = settlement.value
        contested.isContested = true
        return Box(contested)
    }

    /// The run's next job is not started after a failure.
    @inline(never)
    private func withoutAcquired(_ settlement: Box<Settlement>) -> Box<Settlement> {
        guard settlement.value.acquired != nil else { return settlement }
        var rest = settlement.value
        rest.acquired = nil
        return Box(rest)
    }

    private func settleAlone(_ settlement: Box<Settlement>) async throws -> SettlementResult {
        try await Task { [record] in try await record([settlement.value], true)[0] }.value
    }
}
