import CoreMetrics
import Holdfast
import Logging
import Postgres
import Synchronization

/// What any worker does to keep the queue in order.
///
/// Each of these is done by whichever worker comes first, and by one at a time: the database sees to that. Each has a task of
/// its own, so that none waits for another.
extension Worker {
    /// How often workers look for what is due, all of them together.
    private static let promotionInterval: Duration = .milliseconds(200)
    /// With more workers than this, each looks less often.
    private static let promoters = 4
    /// The most lines, and jobs, that are let in by one call.
    private static let promotionLimit = 1000
    /// How often the history is sealed.
    private static let sealInterval: Duration = .seconds(2)
    /// How often it is looked for kinds that no worker takes.
    private static let unservedInterval: Duration = .seconds(10)
    /// How often it is looked whether a queue has got a limit.
    private static let countInterval: Duration = .seconds(2)
    /// How often partitions are made and dropped, and expired keys forgotten; and after a failure.
    private static let tidyInterval: (usual: Duration, retry: Duration) = (.seconds(3600), .seconds(60))

    /// Lets in what is due, puts the lines of dead workers back, seals the history, and keeps the tables in shape; until
    /// the task is cancelled.
    ///
    /// - Parameters:
    ///   - id: This worker's number.
    ///   - due: Says that something may be due.
    ///   - deaths: Says that a worker is dead.
    ///   - onReady: Called when there are lines to be claimed.
    func keepUp(_ id: WorkerID, due: Signal, deaths: Signal, onReady: @escaping @Sendable () -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while !Task.isCancelled {
                    due.send()
                    let share = max(1, (peers.load(ordering: .relaxed) + 1) / Self.promoters)
                    // Cancelled: the loop ends.
                    try? await Task.sleep(for: Self.promotionInterval * share * Double.random(in: 0.9...1.1))
                }
            }
            group.addTask { [self] in await promote(due, onReady) }
            group.addTask { [self] in await rescue(deaths, onReady) }
            group.addTask { [self] in
                await each(Self.sealInterval, warning: "History not sealed") {
                    while try await registry.sealHistory() > 0 {}
                }
            }
            group.addTask { [self] in
                await each(Self.countInterval, warning: "Queues not counted") { try await registry.countQueues() }
            }
            group.addTask { [self] in
                var notice = UnservedNotice()
                await each(Self.unservedInterval, warning: "Kinds without a worker not looked for") {
                    tell(of: try await registry.unservedKinds(toBeToldBy: id), &notice)
                }
            }
            let (usual, retry) = Self.tidyInterval
            group.addTask { [self] in
                await each(usual, retry: retry, warning: "Partitions not made") { try await registry.makePartitions() }
            }
            group.addTask { [self] in
                await each(usual, retry: retry, warning: "Partitions past their retention not dropped") {
                    try await dropPartitions()
                }
            }
            await each(usual, retry: retry, warning: "Expired idempotency keys not forgotten") {
                while try await registry.expireKeys() {}
            }
            group.cancelAll()
        }
    }

    private func promote(_ due: Signal, _ onReady: () -> Void) async {
        var lines = DueFloor()
        var jobs = DueFloor()
        var outage = OutageNotice()
        for await _ in due.stream {
            do {
                let promotion = try await registry.promote(
                    linesSince: lines.next(at: .now),
                    jobsSince: jobs.next(at: .now),
                    limit: Self.promotionLimit
                )
                lines.found(promotion.lines, at: .now)
                jobs.found(promotion.jobs, at: .now)
                outage.succeeded()
                guard !promotion.isEmpty else { continue }
                for queue in promotion.queues { wakeups.ready(queue) }
                onReady()
                if promotion.lines.count == Self.promotionLimit || !promotion.jobs.isEmpty { due.send() }
            } catch {
                if !Task.isCancelled, outage.failed() {
                    logger.warning("What is due waits", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func rescue(_ deaths: Signal, _ onReady: () -> Void) async {
        for await _ in deaths.stream {
            do {
                while case let rescued = try await registry.rescue(), !rescued.isEmpty {
                    metrics.rescuedLines.increment(by: rescued.count)
                    logger.warning("Rescued lines of dead workers", metadata: ["lines": "\(rescued.count)"])
                    for queue in Set(rescued.map(\.queue)) { wakeups.ready(queue) }
                    onReady()
                }
            } catch {
                // The next heartbeat says again that there are some.
                if !Task.isCancelled { logger.warning("Lines not rescued", metadata: ["error": "\(error)"]) }
            }
        }
    }

    private func dropPartitions() async throws {
        while let partition = try await registry.dropPartition(configuration.retention) {
            logger.info("Dropped a partition past its retention", metadata: ["partition": "\(partition)"])
        }
    }
}
