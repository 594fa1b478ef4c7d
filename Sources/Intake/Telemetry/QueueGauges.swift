import Holdfast
import Telemetry

/// What the database says of the queues, for scrapes: one look at a time, and not more often than is of use.
///
/// A look counts every unfinished job: with many millions of them that takes longer than a scrape may. Then a scrape gets what
/// was counted last, and how old that is; whether there is a database is asked apart.
actor QueueGauges {
    /// How long a look is good for, whoever scrapes.
    private static let lifetime: Duration = .seconds(10)
    /// A scrape must have its answer, whatever the database does.
    private static let deadline: Duration = .seconds(4)
    /// The longest that jobs are counted.
    private static let longest: Duration = .seconds(60)
    /// The queues that are shown; of more, the deepest.
    private static let queueLimit: Int32 = 200

    private let views: QueueViews
    private let counts: QueueViews
    private var count: Task<Void, Never>?
    private var counted: (samples: [MetricSample], at: ContinuousClock.Instant)?
    private var general: Task<[MetricSample], Never>?
    private var known: (samples: [MetricSample], at: ContinuousClock.Instant)?

    init(views: QueueViews) {
        self.views = views
        counts = views.within(Self.longest)
    }

    func samples() async -> [MetricSample] {
        let general = await generalSamples()
        if counted.map({ $0.at.duration(to: .now) >= Self.lifetime }) ?? true {
            // Unstructured, because several who scrape share it, and it may take longer than any of them waits.
            let count = count ?? Task { await countQueues() }
            self.count = count
            _ = await within(Self.deadline) { await count.value }
        }
        guard let counted else { return general }
        let age = counted.at.duration(to: .now) / .seconds(1)
        return general + counted.samples + [MetricSample("holdfast_queue_counts_age_seconds", age)]
    }

    private func countQueues() async {
        // Away, or too slow: what is known gets older, and the next scrape has it tried again.
        if let queues = try? await counts.queueStates(limit: Self.queueLimit) {
            counted = (queues.flatMap(Self.samples), .now)
        }
        count = nil
    }

    private func generalSamples() async -> [MetricSample] {
        if let known, known.at.duration(to: .now) < Self.lifetime { return known.samples }
        if let general { return await general.value }
        // Unstructured, because several who scrape share it; whoever began it awaits it.
        let look = Task { [views] in
            await within(Self.deadline) { await Self.look(views) } ?? [MetricSample("holdfast_database_up", 0)]
        }
        general = look
        let samples = await look.value
        general = nil
        // A failure too: a database that cannot answer is not asked all the time.
        known = (samples, .now)
        return samples
    }

    private static func look(_ views: QueueViews) async -> [MetricSample] {
        guard let (workers, claims) = try? await views.workerCounts() else {
            return [MetricSample("holdfast_database_up", 0)]
        }
        return [
            MetricSample("holdfast_database_up", 1), MetricSample("holdfast_workers", workers),
            MetricSample("holdfast_worker_claims", claims),
        ]
    }

    private static func samples(_ queue: QueueState) -> [MetricSample] {
        let labels = [("queue", queue.name)]
        return [
            MetricSample("holdfast_queue_depth", queue.depth, labels),
            MetricSample("holdfast_queue_scheduled_jobs", queue.scheduled, labels),
            MetricSample("holdfast_queue_ready_lines", queue.ready, labels),
            MetricSample("holdfast_queue_running_lines", queue.running, labels),
            MetricSample("holdfast_queue_oldest_wait_seconds", (queue.servedWait ?? .zero) / .seconds(1), labels),
            MetricSample("holdfast_queue_paused", queue.isPaused ? 1 : 0, labels),
        ]
            + queue.unserved.flatMap { unserved in
                let labels = labels + [("kind", unserved.kind)]
                return [
                    MetricSample("holdfast_queue_unserved_lines", unserved.lines, labels),
                    MetricSample("holdfast_queue_unserved_wait_seconds", unserved.oldestWait / .seconds(1), labels),
                ]
            }
    }
}
