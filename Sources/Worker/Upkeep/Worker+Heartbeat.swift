import CoreMetrics
import Holdfast
import Logging
import Postgres
import Redlock
import ServiceLifecycle
import Synchronization

extension Worker {
    /// Registers, and waits for the database if it is away.
    ///
    /// - Returns: The worker's number; `nil` when it was shut down first.
    func register(_ heartbeats: WorkerRegistry) async -> WorkerID? {
        await cancelWhenGracefulShutdown { [self] in
            var outage = OutageNotice()
            while !Task.isCancelled {
                do {
                    let id = try await registry.nextID()
                    try await heartbeats.heartbeat(id, description)
                    return id
                } catch {
                    if !Task.isCancelled, outage.failed() {
                        logger.warning("Waiting for the database", metadata: ["error": "\(error)"])
                    }
                    try? await Task.sleep(for: configuration.pollInterval)  // Cancelled: the loop ends.
                }
            }
            return nil
        }
    }

    /// Moves this worker's beat on until the task is cancelled, and looks at those of the others.
    ///
    /// - Parameters:
    ///   - id: This worker's number.
    ///   - heartbeats: Has a connection of its own, so that no heartbeat waits for anything else.
    ///   - rescue: Called when there are lines of dead workers.
    func keepBeating(_ id: WorkerID, _ heartbeats: WorkerRegistry, rescue: () -> Void) async {
        var watch = BeatWatch()
        var otherNodes = TroubleNotice(
            "Workers name other lock nodes than this one: their locks do not exclude each other",
            isOver: "All workers name the same lock nodes",
            after: .seconds(10)
        )
        await each(WorkerRegistry.heartbeatInterval, warning: "Heartbeat not recorded") {
            let start = ContinuousClock.now
            let pulse = try await heartbeats.heartbeat(id, description)
            let dead = watch.saw(pulse.beats, from: start, to: .now)
            let strangers = pulse.otherLockNodes.map(String.init(describing:)).sorted().joined(separator: ", ")
            otherNodes.note(strangers.isEmpty ? nil : "workers \(strangers)", logger)
            peers.store(pulse.beats.count, ordering: .relaxed)
            var hasOrphans = pulse.hasOrphans
            if !dead.isEmpty {
                for worker in try await heartbeats.bury(dead) {
                    hasOrphans = true
                    logger.warning(
                        "A worker is dead: its beat has stood still",
                        metadata: ["worker.id": "\(worker.id)", "worker.name": "\(worker.name)"]
                    )
                }
            }
            if hasOrphans { rescue() }
        }
    }

    private var description: WorkerRegistry.Description {
        let obstacles = obstacles
        let missingQuorum = redlock.missingQuorum
        return WorkerRegistry.Description(
            name: configuration.name,
            queues: configuration.queues,
            kinds: kinds,
            slots: configuration.slots,
            nodesWithoutVote: redlock.nodesWithoutVote,
            heldUpKinds: missingQuorum == nil ? obstacles.keys.sorted() : kinds,
            troubles: Set(obstacles.values).sorted() + [missingQuorum].compactMap(\.self),
            nodeWarnings: nodeWarnings,
            lockNodes: redlock.nodeIdentities
        )
    }

    /// What the nodes should be told otherwise that this worker uses.
    private var nodeWarnings: [String] {
        redlock.nodeWarnings + handlers.values.flatMap { ($0 as? any GatedTask)?.warnings ?? [] }.sorted()
    }

    /// Runs `body` again and again until the task is cancelled; of failures in a row, the first is logged, and one a minute.
    ///
    /// - Parameters:
    ///   - interval: Between two times.
    ///   - retry: After a failure, instead.
    ///   - warning: What is logged.
    ///   - body: What is done.
    func each(
        _ interval: Duration,
        retry: Duration? = nil,
        warning: Logger.Message,
        _ body: () async throws -> Void
    ) async {
        var outage = OutageNotice()
        while !Task.isCancelled {
            var pause = interval
            do {
                try await body()
                outage.succeeded()
            } catch {
                pause = retry ?? interval
                if !Task.isCancelled, outage.failed() { logger.warning(warning, metadata: ["error": "\(error)"]) }
            }
            try? await Task.sleep(for: pause * Double.random(in: 0.9...1.1))  // Cancelled: the loop ends.
        }
    }
}
