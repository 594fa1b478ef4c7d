import Holdfast
import Telemetry

/// What the database says of the queues, for scrapes: one look at a time, and not more often than is of use.
actor QueueGauges {
    /// How long a look is good for, whoever scrapes: it counts every unfinished job.
    private static let lifetime: Duration = .seconds(10)
    /// A scrape must have its answer, whatever the database does.
    private static let deadline: Duration = .seconds(4)
    /// The queues that are shown; of more, the deepest.
    private static let queueLimit: Int32 = 200

    private let views: QueueViews
    private var look: Task<[MetricSample], Never>?
    private var known: (samples: [MetricSample], goodUntil: ContinuousClock.Instant)?

    init(views: QueueViews) { self.views = views }

    func samples() async -> [MetricSample] {
        if let known, ContinuousClock.now < known.goodUntil { return known.samples }
        if let look { return await look.value }
        // Unstructured, because several who scrape share it; whoever began it awaits it.
        let look = Task { [views] in
            let samples = await within(Self.deadline) { await Self.look(views) }
            return samples ?? [MetricSample("holdfast_database_up", 0)]
        }
        self.look = look
        let samples = await look.value
        self.look = nil
        // A failure too: a database that cannot answer is not asked all the time.
        known = (samples, .now + Self.lifetime)
        return samples
    }

    private static func look(_ views: QueueViews) async -> [MetricSample] {
        do {
            let queues = try await views.queueStates(limit: queueLimit)
            let (workers, claims) = try await views.workerCounts()
            let whole = [
                MetricSample("holdfast_database_up", 1), MetricSample("holdfast_workers", workers),
                MetricSample("holdfast_worker_claims", claims),
            ]
            return whole + queues.flatMap(samples)
        } catch {
            return [MetricSample("holdfast_database_up", 0)]
        }
    }

    private static func samples(_ queue: QueueState) -> [MetricSample] {
        let labels = [("queue", queue.name)]
        return [
            MetricSample("holdfast_queue_depth", queue.depth, labels),
            MetricSample("holdfast_queue_scheduled_jobs", queue.scheduled, labels),
            MetricSample("holdfast_queue_ready_lines", queue.ready, labels),
            MetricSample("holdfast_queue_running_lines", queue.running, labels),
            MetricSample("holdfast_queue_oldest_wait_seconds", (queue.oldestWait ?? .zero) / .seconds(1), labels),
            MetricSample("holdfast_queue_paused", queue.isPaused ? 1 : 0, labels),
        ]
    }
}
