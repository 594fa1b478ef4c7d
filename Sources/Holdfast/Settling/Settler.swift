import CoreMetrics
package import Logging
import Postgres
package import Redlock
import Tracing

/// Settles the claims of one worker in batches, and does not give up while the database is away.
package struct Settler: Sendable {
    package typealias Record = @Sendable ([Settlement], JobStore.SettleManner) async throws -> [SettlementResult]

    /// Between tries: at first, and at most while the database is away.
    private static let pauses: (first: Duration, longest: Duration) = (.milliseconds(2), .seconds(1))
    /// At most while another session has the line locked.
    private static let longestBusyPause: Duration = .milliseconds(20)
    /// How long a cancelled task still tries.
    private static let lastTries: Duration = .seconds(5)
    /// How long the hold of a run's next job waits to be recorded while another session has the line locked.
    private static let holdPatience: Duration = .seconds(2)

    private let batches: GroupCommit<Box<Settlement>, SettlementResult>
    /// Those whose call got no answer.
    private let doubtful: GroupCommit<Box<Settlement>, SettlementResult>
    private let record: Record
    private let clock: any MonotonicClock
    private let chance: @Sendable () -> Double
    private let logger: Logger
    private let metrics = SettleMetrics()

    package init(store: JobStore, logger: Logger) {
        self.init(logger: logger) { try await store.settle($0, $1) }
    }

    /// - Parameters:
    ///   - clock: Measures pauses; a simulation passes its own.
    ///   - chance: Gives numbers from 0 to 1.
    ///   - logger: For settlements that are delayed.
    ///   - record: Records settlements, in the manner that it is told.
    package init(
        clock: any MonotonicClock = ContinuousClock(),
        chance: @escaping @Sendable () -> Double = { Double.random(in: 0...1) },
        logger: Logger,
        record: @escaping Record
    ) {
        self.record = record
        self.clock = clock
        self.chance = chance
        self.logger = logger
        batches = GroupCommit("settle", waitingLimit: 100_000, batchLimit: 500, inFlightLimit: 2) {
            try await record($0.map(\.value), .usual)
        }
        doubtful = GroupCommit("settle_in_doubt", waitingLimit: 100_000, batchLimit: 500) {
            try await record($0.map(\.value), .inDoubt)
        }
    }

    /// Records a settlement; concurrent calls share a transaction.
    ///
    /// It tries until it is recorded or found stale; when the task is cancelled, for five more seconds. After a failure the
    /// hold of the run's next job is recorded no more.
    /// - Parameters:
    ///   - settlement: What became of a claim.
    ///   - dropHold: Called when the hold of the run's next job is not to be recorded with it any more.
    /// - Returns: How it went; `nil` when it was given up, and its line is left to rescue.
    package func settle(_ settlement: Box<Settlement>, dropHold: () -> Void = {}) async -> SettlementResult? {
        JobTrace.isOn ? await settleTraced(settlement, dropHold) : await settleUntilRecorded(settlement, dropHold)
    }

    private func settleTraced(_ settlement: Box<Settlement>, _ dropHold: () -> Void) async -> SettlementResult? {
        let (finished, retried) = (settlement.value.finished, settlement.value.retried)
        let jobs = finished.map(\.job) + (retried.map { [$0.job] } ?? [])
        guard let first = jobs.first else { return await settleUntilRecorded(settlement, dropHold) }
        return await withSpan("settle", context: JobTrace.context(of: first.traceparent)) { span in
            // One transaction for all of them: a part of the first one's trace, and linked to the others'.
            for job in jobs.dropFirst() where job.traceparent != nil {
                span.addLink(SpanLink(context: JobTrace.context(of: job.traceparent), attributes: [:]))
            }
            return await settleUntilRecorded(settlement, dropHold)
        }
    }

    private func settleUntilRecorded(_ settlement: Box<Settlement>, _ dropHold: () -> Void) async -> SettlementResult? {
        do {
            let result = try await batches.submit(settlement)
            metrics.count(result, of: settlement.value)
            return result == .busy ? await settleAgain(settlement, dropHold, after: nil) : result
        } catch {
            return await settleAgain(settlement, dropHold, after: error)
        }
    }

    private func settleAgain(
        _ settlement: Box<Settlement>,
        _ dropHold: () -> Void,
        after error: (any Error)?
    ) async -> SettlementResult? {
        var settlement = settlement
        let start = clock.now
        var pause = Self.pauses.first
        var lastError = error
        if let error { delayed(settlement, error) }
        // A line that is to be freed is queued for once: whoever submits to its key locks it most of the time.
        var queues = error == nil && settlement.value.freesLine
        var end: ContinuousClock.Instant?
        while true {
            if settlement.value.acquired != nil,
                lastError != nil || start.duration(to: clock.now) > Self.holdPatience
            {
                settlement = withoutAcquired(settlement)
                dropHold()
            }
            if !queues { await sleep(for: pause) }
            do {
                let result = try await tryAgain(settlement, queues: queues, after: lastError)
                metrics.count(result, of: settlement.value)
                guard result == .busy else { return result }
                pause = min(pause * 2, Self.longestBusyPause)
            } catch {
                if lastError == nil { delayed(settlement, error) } else { metrics.failed.increment() }
                lastError = error
                pause = min(pause * 2, Self.pauses.longest)
            }
            queues = false
            guard Task.isCancelled else { continue }
            let limit = end ?? clock.now.advanced(by: Self.lastTries)
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

    private func tryAgain(
        _ settlement: Box<Settlement>,
        queues: Bool,
        after error: (any Error)?
    ) async throws -> SettlementResult {
        guard let error else {
            return queues ? try await alone(settlement, .waiting) : try await batches.submit(settlement)
        }
        // What the database refuses would hold back the others of a batch. What it was away for would not.
        let isRefused = (error as? PostgresError).map { !$0.isUnavailable } ?? false
        return isRefused ? try await alone(settlement, .inDoubt) : try await doubtful.submit(settlement)
    }

    /// A task of its own, because what is under way is not to be broken off when the caller is cancelled.
    private func alone(
        _ settlement: Box<Settlement>,
        _ manner: JobStore.SettleManner
    ) async throws -> SettlementResult {
        try await Task { [record] in try await record([settlement.value], manner)[0] }.value
    }

    private func sleep(for pause: Duration) async {
        let time = pause * (0.5 + chance() / 2)
        // A task of its own, because a cancelled one does not sleep.
        await Task { [clock] in try? await clock.sleep(for: time) }.value
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

    /// The run's next job is not started after a failure.
    @inline(never)
    private func withoutAcquired(_ settlement: Box<Settlement>) -> Box<Settlement> {
        var rest = settlement.value
        rest.acquired = nil
        return Box(rest)
    }
}
