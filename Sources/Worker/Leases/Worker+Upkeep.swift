import CoreMetrics
import Holdfast
import Logging
import Synchronization

extension Worker {
    /// How often the leader looks for jobs that are due: while some come, and when none has come for a while.
    private static let joinInterval: Duration = .milliseconds(200)
    private static let idleJoinInterval: Duration = .milliseconds(500)
    /// How long some are still expected after the last.
    private static let joinPatience: Duration = .seconds(10)
    /// The most jobs that join their lines in one transaction.
    private static let joinLimit = 1000
    /// How often the leader seals what was added to the lock history.
    private static let sealInterval: Duration = .seconds(2)
    /// How often the leader makes and drops partitions, and forgets what has expired.
    private static let tidyInterval: Duration = .seconds(3600)

    /// Leads when no other does: lets jobs that are due join their lines, puts the lines of dead workers back in the queue,
    /// seals the history, and keeps the tables in shape.
    ///
    /// - Parameters:
    ///   - id: Its own number.
    ///   - leadership: Whether it leads, as its heartbeat finds.
    ///   - onReady: Called when there are lines to be claimed.
    func lead(_ id: WorkerID, _ leadership: Leadership, onReady: @escaping @Sendable () -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in await letJobsJoin(leadership, onReady) }
            group.addTask { [self] in await sealHistory(leadership) }
            await keepUp(id, leadership, onReady)
            group.cancelAll()
        }
    }

    private func keepUp(_ id: WorkerID, _ leadership: Leadership, _ onReady: () -> Void) async {
        var nextTidy = ContinuousClock.now
        await each(WorkerRegistry.heartbeatInterval, warning: "Upkeep not done") {
            guard leadership.mayAct else { return }
            if leadership.hasOrphans { try await rescue(id, onReady) }
            guard ContinuousClock.now >= nextTidy else { return }
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

    private func rescue(_ id: WorkerID, _ onReady: () -> Void) async throws {
        let rescued = try await registry.rescue()
        guard !rescued.isEmpty else { return }
        metrics.rescuedLines.increment(by: Set(rescued).count)
        logger.warning(
            "Rescued lines of workers whose lease lapsed",
            metadata: ["lines": "\(Set(rescued).count)", "worker.id": "\(id)"]
        )
        for queue in configuration.queues { wakeups.ready(queue) }
        onReady()
    }

    /// Seals the lock history, a few seconds behind those who write it.
    private func sealHistory(_ leadership: Leadership) async {
        await each(Self.sealInterval, warning: "History not sealed") {
            while leadership.isOurs, try await registry.sealHistory() > 0 {}
        }
    }

    /// Lets jobs that are due join their lines.
    private func letJobsJoin(_ leadership: Leadership, _ onReady: () -> Void) async {
        var floor = JoinFloor()
        var expectedUntil = ContinuousClock.now
        await each(
            ContinuousClock.now < expectedUntil ? Self.joinInterval : Self.idleJoinInterval,
            warning: "Jobs that are due wait"
        ) {
            guard leadership.isOurs else { return }
            while true {
                let joined = try await registry.joinLines(since: floor.next(at: .now), limit: Self.joinLimit)
                floor.joined(joined.map(\.dueAt), at: .now)
                guard !joined.isEmpty else { return }
                expectedUntil = .now + Self.joinPatience
                for queue in Set(joined.map(\.queue)) { wakeups.ready(queue) }
                onReady()
                guard joined.count == Self.joinLimit else { return }
            }
        }
    }
}
