import Redlock

/// The built-in task: writes the value under its key, fenced, then waits for a simulated asynchronous job.
package struct LockAndSet: BriefTask, GatedTask {
    package static let kind = "lockAndSet"

    private let values: ValueStore

    package init(values: ValueStore) { self.values = values }

    package var obstacle: String? { values.obstacle }
    package var warnings: [String] { values.warnings }

    /// The value as it is.
    package static func payload(of value: String) -> String { value }

    package func run(_ value: String, _ context: TaskContext) async throws {
        let job = context.job
        if case .refused(let highest) = try await write(job, to: context.key) {
            throw TaskRefusal(fence: job.fence, highest: highest)
        }
        // Of the ways to sleep, the one that takes the least memory.
        if job.duration > .zero { try await Task.sleep(nanoseconds: UInt64(job.duration.milliseconds) * 1_000_000) }
    }

    private func write(_ job: ClaimedJob, to key: LockKey) async throws -> FencedWrite.Outcome {
        do {
            return try await values.write(job.value, to: key, fence: job.fence)
        } catch let outage as ValueOutage {
            throw TaskOutage(description: outage.description)
        }
    }
}
