package import Logging
import Postgres

/// Settles the claims of one worker in batches, and does not give up while the database is away.
package struct Settler: Sendable {
    private let batches: GroupCommit<Settlement, SettlementResult>
    private let store: JobStore
    private let logger: Logger

    package init(store: JobStore, logger: Logger) {
        self.store = store
        self.logger = logger
        batches = GroupCommit(waitingLimit: 100_000, batchLimit: 500, inFlightLimit: 2) { try await store.settle($0) }
    }

    /// Records a settlement; concurrent calls share a transaction.
    ///
    /// It tries until it is recorded or found stale; when the task is cancelled, for five more seconds.
    /// - Returns: How it went; `nil` when it was given up, and its line is left to rescue.
    package func settle(_ settlement: Settlement) async -> SettlementResult? {
        var backoff: Duration = .milliseconds(20)
        var inDoubt = false
        var end: ContinuousClock.Instant?
        while true {
            do {
                // After a failure alone, so that one that cannot be recorded does not hold back the others.
                let result =
                    inDoubt ? try await settleAlone(settlement) : try await batches.submit(settlement)
                guard result == .busy else { return result }
            } catch {
                if !inDoubt {
                    logger.warning(
                        "Settlement delayed",
                        metadata: ["job.key": "\(settlement.claim.key)", "error": "\(error)"]
                    )
                }
                inDoubt = true
                backoff = min(backoff * 2, .seconds(2))
            }
            if Task.isCancelled {
                let limit = end ?? ContinuousClock.now.advanced(by: .seconds(5))
                end = limit
                guard ContinuousClock.now < limit else {
                    logger.error(
                        "Settlement given up, its line is left to rescue",
                        metadata: ["job.key": "\(settlement.claim.key)"]
                    )
                    return nil
                }
            }
            let pause = backoff * Double.random(in: 0.5...1)
            // A task of its own, because a cancelled one does not sleep.
            await Task { try? await Task.sleep(for: pause) }.value
        }
    }

    private func settleAlone(_ settlement: Settlement) async throws -> SettlementResult {
        let store = store
        return try await Task { try await store.settle([settlement], inDoubt: true)[0] }.value
    }
}
