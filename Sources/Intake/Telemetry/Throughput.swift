import Holdfast
import Postgres

/// How many jobs have finished in each step of the last five minutes.
///
/// What has finished in a step is counted once, when nobody who is about to commit can add to it: of a busy queue five
/// minutes have millions of jobs, and each dashboard asks every other second.
actor Throughput {
    /// How long a step is.
    static let stepSeconds: Int64 = 5
    /// How many steps are shown; the last one still runs.
    private static let steps = 60
    /// What a statement that settles has finished is committed within as many steps: its deadline is 10 s.
    private static let openSteps: Int64 = 6
    private static let states: [Job.State] = [.succeeded, .failed, .cancelled]

    private struct Step: Hashable {
        let queue: String
        let state: Job.State
        let number: Int64
    }

    private let views: QueueViews
    private var counts: [Step: Int] = [:]
    /// The first step that was not over when it was last counted.
    private var firstOpen: Int64 = 0

    init(views: QueueViews) { self.views = views }

    /// A JSON object for each queue in which jobs have finished.
    ///
    /// - Throws: `PostgresError`.
    func queues() async throws -> [String] {
        let last = try await views.clock().microseconds / (Self.stepSeconds * 1_000_000)
        let first = last - Int64(Self.steps) + 1
        // A clock that was set back has steps that were counted as over.
        let from = firstOpen > last ? first : max(first, firstOpen)
        let found = try await views.finishedJobs(since: from, seconds: Self.stepSeconds)
        counts = counts.filter { $0.key.number >= first && $0.key.number < from }
        for jobs in found {
            guard let state = jobs.state else { continue }
            counts[Step(queue: jobs.queue, state: state, number: jobs.step)] = jobs.count
        }
        firstOpen = last - Self.openSteps
        return Set(counts.keys.map(\.queue)).sorted().map { queue in
            let json = JSONWriter.object { writer in
                writer.field("queue", queue)
                for state in Self.states {
                    let list = (first...last).map { "\(counts[Step(queue: queue, state: state, number: $0)] ?? 0)" }
                    writer.field(state.rawValue, list: list)
                }
            }
            return String(decoding: json, as: UTF8.self)
        }
    }
}
