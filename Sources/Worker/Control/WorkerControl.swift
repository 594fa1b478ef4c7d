import Holdfast
import Logging

/// What operators ask of the jobs that a worker runs, and what those say of themselves.
struct WorkerControl: Sendable {
    let work = RunningWork()
    private let registry: WorkerRegistry
    private let logger: Logger
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init(registry: WorkerRegistry, logger: Logger) {
        self.registry = registry
        self.logger = logger
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Says that an operator has asked for something.
    func look() { signal.yield() }

    /// Cancels tasks and pauses queues as operators ask, at once when told to look, and each `interval` while anything
    /// runs; until the task is cancelled.
    func serve(_ worker: WorkerID, interval: Duration) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    try? await Task.sleep(for: interval)  // Cancelled: the loop ends.
                    if !work.tasks.isEmpty { look() }
                    await store(work.progress.take(), of: worker)
                }
            }
            for await _ in signals {
                do {
                    let orders = try await registry.orders(for: worker)
                    work.paused.replace(with: orders.pausedQueues)
                    work.tasks.cancel(orders.cancelledJobs)
                } catch {
                    // It looks again after the interval.
                    logger.debug("Orders not read", metadata: ["error": "\(error)"])
                }
            }
            group.cancelAll()
        }
    }

    private func store(_ reports: [TaskProgress], of worker: WorkerID) async {
        guard !reports.isEmpty else { return }
        do {
            try await registry.store(reports, of: worker)
        } catch {
            // What was said since is newer; of the others the next report will do.
            logger.debug("Progress not stored", metadata: ["error": "\(error)"])
        }
    }
}
