import Holdfast
import Synchronization

/// The tasks that a worker runs, so that those of cancelled jobs can be cancelled.
final class RunningTasks: Sendable {
    private struct Entry {
        let cancel: @Sendable () -> Void
        var isCancelled = false
    }

    private let entries = Mutex<[JobID: Entry]>([:])

    var isEmpty: Bool { entries.withLock(\.isEmpty) }

    /// Runs a job's task until it ends.
    ///
    /// - Throws: ``JobCancelled`` when ``cancel(_:)`` ended it, or what the task throws.
    func run(_ job: JobID, _ body: @escaping @Sendable () async throws -> Void) async throws {
        // A task of its own, to be cancelled by itself; it is awaited here, and cancelled with this one.
        let task = Task { try await body() }
        entries.withLock { $0[job] = Entry(cancel: task.cancel) }
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        let entry = entries.withLock { $0.removeValue(forKey: job) }
        if case .failure = result, entry?.isCancelled == true { throw JobCancelled() }
        try result.get()
    }

    /// Cancels the tasks of these jobs, of those that are running.
    func cancel(_ jobs: [JobID]) {
        for job in jobs {
            let cancel = entries.withLock { entries in
                entries[job]?.isCancelled = true
                return entries[job]?.cancel
            }
            cancel?()
        }
    }
}

/// Somebody cancelled the job while its task was running.
struct JobCancelled: Error, CustomStringConvertible {
    var description: String { "the job was cancelled" }
}
