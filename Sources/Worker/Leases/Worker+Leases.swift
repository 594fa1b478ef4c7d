import CoreMetrics
import Holdfast
import Logging
import Redlock
import ServiceLifecycle

extension Worker {
    /// Registers, and waits for the database if it is away.
    ///
    /// - Returns: The worker's number; `nil` when it was shut down first.
    func register() async -> WorkerID? {
        await cancelWhenGracefulShutdown { [self] in
            var hasWarned = false
            while !Task.isCancelled {
                do {
                    let id = try await registry.nextID()
                    _ = try await registry.tidy(configuration.retention)
                    try await heartbeat(id)
                    return id
                } catch {
                    if !hasWarned {
                        logger.warning("Waiting for the database", metadata: ["error": "\(error)"])
                        hasWarned = true
                    }
                    try? await Task.sleep(for: configuration.pollInterval)  // Cancelled: the loop ends.
                }
            }
            return nil
        }
    }

    /// Renews the lease until the task is cancelled, and the leader's term if it is ours.
    func keepLease(_ id: WorkerID, _ leadership: Leadership) async {
        await each(WorkerRegistry.heartbeatInterval, warning: "Lease not renewed") {
            let pulse: WorkerRegistry.Pulse
            do {
                pulse = try await heartbeat(id)
            } catch {
                leadership.suspend(for: WorkerRegistry.heartbeatInterval * 2)
                throw error
            }
            metrics.leader.record(pulse.leads ? 1 : 0)
            if leadership.take(pulse) {
                logger.info(
                    pulse.leads ? "Leads upkeep" : "Leads upkeep no more",
                    metadata: ["worker.id": "\(id)"]
                )
            }
        }
    }

    @discardableResult
    private func heartbeat(_ id: WorkerID) async throws -> WorkerRegistry.Pulse {
        try await registry.heartbeat(
            id,
            name: configuration.name,
            queues: configuration.queues,
            kinds: handlers.keys.sorted(),
            slots: configuration.slots,
            nodesWithoutVote: redlock.nodes.filter { !$0.mayVote }.map(\.name)
        )
    }

    /// Runs `body` again and again until the task is cancelled; of failures in a row, the first is logged.
    func each(
        _ interval: @autoclosure () -> Duration,
        warning: Logger.Message,
        _ body: () async throws -> Void
    ) async {
        var isFailing = false
        while !Task.isCancelled {
            do {
                try await body()
                isFailing = false
            } catch {
                if !isFailing, !Task.isCancelled { logger.warning(warning, metadata: ["error": "\(error)"]) }
                isFailing = true
            }
            try? await Task.sleep(for: interval() * Double.random(in: 0.9...1.1))  // Cancelled: the loop ends.
        }
    }
}
