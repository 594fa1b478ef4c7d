import Holdfast
import Logging
import ServiceLifecycle

extension Worker {
    /// Registers, and waits for the database if it is away.
    ///
    /// - Returns: The worker's number; `nil` when it was shut down first.
    func register() async -> WorkerID? {
        await cancelWhenGracefulShutdown {
            var hasWarned = false
            while !Task.isCancelled {
                do {
                    let id = try await registry.nextID()
                    try await registry.tidy()
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

    /// Renews the lease until the task is cancelled.
    func keepLease(_ id: WorkerID) async {
        await each(WorkerRegistry.heartbeatInterval, warning: "Lease not renewed") {
            try await heartbeat(id)
        }
    }

    /// Leads when no other does: puts the lines of dead workers back in the queue, and makes partitions.
    ///
    /// - Parameters:
    ///   - id: Its own number.
    ///   - onRescue: Called when lines were put back.
    func lead(_ id: WorkerID, onRescue: @Sendable () -> Void) async {
        var isLeader = false
        // After an outage the others' heartbeats come back first.
        var rescueFrom = ContinuousClock.now
        var nextTidy = ContinuousClock.now
        await each(WorkerRegistry.heartbeatInterval, warning: "Upkeep not done") {
            let leads: Bool
            do {
                leads = try await registry.lead(id)
            } catch {
                rescueFrom = .now + WorkerRegistry.heartbeatInterval * 2
                throw error
            }
            if leads != isLeader {
                isLeader = leads
                logger.info(leads ? "Leads upkeep" : "Leads upkeep no more", metadata: ["worker.id": "\(id)"])
            }
            guard leads, ContinuousClock.now >= rescueFrom else { return }
            let rescued = try await registry.rescue()
            if !rescued.isEmpty {
                logger.warning(
                    "Rescued lines of workers whose lease lapsed",
                    metadata: ["lines": "\(Set(rescued).count)", "worker.id": "\(id)"]
                )
                for queue in configuration.queues { wakeups.ready(queue) }
                onRescue()
            }
            if ContinuousClock.now >= nextTidy {
                try await registry.tidy()
                nextTidy = .now + .seconds(3600)
            }
        }
    }

    private func heartbeat(_ id: WorkerID) async throws {
        try await registry.heartbeat(
            id,
            name: configuration.name,
            queues: configuration.queues,
            slots: configuration.slots
        )
    }

    private func each(_ interval: Duration, warning: Logger.Message, _ body: () async throws -> Void) async {
        var isFailing = false
        while !Task.isCancelled {
            do {
                try await body()
                isFailing = false
            } catch {
                if !isFailing, !Task.isCancelled { logger.warning(warning, metadata: ["error": "\(error)"]) }
                isFailing = true
            }
            try? await Task.sleep(for: interval * Double.random(in: 0.9...1.1))  // Cancelled: the loop ends.
        }
    }
}
