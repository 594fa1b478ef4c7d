import Redis
import Redlock

/// The built-in task: writes the value under its key, fenced, then waits for a simulated asynchronous job.
package struct LockAndSet: TaskHandler {
    package static let kind = "lockAndSet"

    private let values: ValueStore

    package init(values: ValueStore) { self.values = values }

    /// The value as it is.
    package static func payload(of value: String) -> String { value }

    package func run(_ value: String, _ context: TaskContext) async throws {
        let job = context.job
        if case .refused(let highest) = try await write(job, to: context.key) {
            throw TaskRefusal(fence: job.fence, highest: highest)
        }
        if job.duration > .zero { try await Task.sleep(for: job.duration) }
    }

    private func write(_ job: ClaimedJob, to key: LockKey) async throws(TaskOutage) -> FencedWrite.Outcome {
        // A task of its own: a write that is under way when the hold is lost is waited for, so that its refusal is known.
        let result = await Task { [values] () async -> Result<FencedWrite.Outcome, RedisError> in
            do throws(RedisError) {
                return .success(try await values.write(job.value, to: key, fence: job.fence))
            } catch {
                return .failure(error)
            }
        }.value
        return try result.mapError { TaskOutage(description: $0.description) }.get()
    }
}
