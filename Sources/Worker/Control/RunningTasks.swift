import Holdfast
import Redlock
import Synchronization

/// The tasks that a worker runs, so that those of cancelled jobs can be cancelled.
final class RunningTasks: Sendable {
    private let watches = Mutex<[JobID: Watch]>([:])

    var isEmpty: Bool { watches.withLock(\.isEmpty) }

    /// Runs a job's task until it ends; ``cancel(_:)`` interrupts its watch meanwhile.
    func run(_ job: JobID, _ watch: Watch, _ body: () async throws -> Void) async throws {
        watches.withLock { $0[job] = watch }
        defer { watches.withLock { _ = $0.removeValue(forKey: job) } }
        try await body()
    }

    /// Cancels the tasks of these jobs, of those that are running.
    func cancel(_ jobs: [JobID]) {
        for job in jobs {
            let watch = watches.withLock { $0[job] }
            watch?.interrupt(JobCancelled())
        }
    }
}

/// Somebody cancelled the job while its task was running.
struct JobCancelled: Error, CustomStringConvertible {
    var description: String { "the job was cancelled" }
}
