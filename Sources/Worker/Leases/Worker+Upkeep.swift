import Holdfast
import Logging
import Synchronization

extension Worker {
    /// How often the leader looks for jobs that are due.
    private static let joinInterval: Duration = .milliseconds(200)
    /// The most jobs that join their lines in one transaction.
    private static let joinLimit = 1000
    /// How often the leader seals what was added to the lock history.
    private static let sealInterval: Duration = .seconds(1)
    /// How often the leader makes and drops partitions, and forgets what has expired.
    private static let tidyInterval: Duration = .seconds(3600)

    /// Leads when no other does: lets jobs that are due join their lines, puts the lines of dead workers back in the queue,
    /// seals the history, and keeps the tables in shape.
    ///
    /// - Parameters:
    ///   - id: Its own number.
    ///   - onReady: Called when there are lines to be claimed.
    func lead(_ id: WorkerID, onReady: @escaping @Sendable () -> Void) async {
        let leadership = Leadership()
        await withDiscardingTaskGroup { group in
            group.addTask { await letJobsJoin(leadership, onReady) }
            group.addTask { await sealHistory(leadership) }
            await keepUp(id, leadership, onReady)
            group.cancelAll()
        }
    }

    private func keepUp(_ id: WorkerID, _ leadership: Leadership, _ onReady: () -> Void) async {
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
            if leads != leadership.isOurs {
                leadership.isOurs = leads
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
                onReady()
            }
            if ContinuousClock.now >= nextTidy {
                let dropped = try await registry.tidy(configuration.retention)
                if !dropped.isEmpty {
                    logger.info(
                        "Dropped partitions past their retention",
                        metadata: ["partitions": "\(dropped.joined(separator: ","))", "worker.id": "\(id)"]
                    )
                }
                nextTidy = .now + Self.tidyInterval
            }
        }
    }

    /// Seals the lock history, a second or two behind those who write it.
    private func sealHistory(_ leadership: Leadership) async {
        await each(Self.sealInterval, warning: "History not sealed") {
            while leadership.isOurs, try await registry.sealHistory() > 0 {}
        }
    }

    /// Lets jobs that are due join their lines.
    private func letJobsJoin(_ leadership: Leadership, _ onReady: () -> Void) async {
        var floor = JoinFloor()
        await each(Self.joinInterval, warning: "Jobs that are due wait") {
            guard leadership.isOurs else { return }
            while true {
                let joined = try await registry.joinLines(since: floor.next(at: .now), limit: Self.joinLimit)
                floor.joined(joined.map(\.dueAt))
                guard !joined.isEmpty else { return }
                for queue in Set(joined.map(\.queue)) { wakeups.ready(queue) }
                onReady()
                guard joined.count == Self.joinLimit else { return }
            }
        }
    }
}

/// Whether this worker leads, as it learned last.
private final class Leadership: Sendable {
    private let state = Mutex(false)

    var isOurs: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
