import Holdfast
import Redlock
import Synchronization

/// The tasks that a worker runs, so that those of cancelled jobs can be cancelled.
final class RunningTasks: Sendable {
    private struct State {
        var watches: [JobID: Watch] = [:]
        /// Jobs that were cancelled behind others under one hold, and have not begun.
        var cancelled: Set<JobID> = []
    }

    private let state = Mutex(State())

    var isEmpty: Bool { state.withLock(\.watches.isEmpty) }

    /// Runs a job's task until it ends; ``cancel(_:)`` interrupts its watch meanwhile.
    ///
    /// - Throws: ``JobCancelled`` when the job was cancelled before; or what `body` throws.
    func run(_ job: JobID, _ watch: Watch, _ body: () async throws -> Void) async throws {
        let isCancelled = state.withLock { state in
            if !state.cancelled.isEmpty, state.cancelled.remove(job) != nil { return true }
            state.watches[job] = watch
            return false
        }
        if isCancelled { throw JobCancelled() }
        defer { state.withLock { _ = $0.watches.removeValue(forKey: job) } }
        try await body()
    }

    /// Cancels the tasks of these jobs: those that run, at once; the others, as they are to begin.
    ///
    /// - Parameter jobs: All that are to be cancelled, of lines that the worker holds.
    func cancel(_ jobs: [JobID]) {
        state.withLock { state in
            state.cancelled = Set(jobs.filter { state.watches[$0] == nil })
            // Under the lock: a watch is that of the next job under the hold, once this one's task has ended.
            for job in jobs { state.watches[job]?.interrupt(JobCancelled()) }
        }
    }

    /// Says that a claim's run is over: what is left of it is read anew by who claims its line next.
    func forget(_ jobs: [ClaimedJob]) {
        state.withLock { state in
            guard !state.cancelled.isEmpty else { return }
            for job in jobs { state.cancelled.remove(job.id) }
        }
    }
}

/// Somebody cancelled the job while its task was running.
struct JobCancelled: Error, CustomStringConvertible {
    var description: String { "the job was cancelled" }
}
