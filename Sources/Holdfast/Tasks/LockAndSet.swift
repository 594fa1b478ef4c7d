package import Redlock

/// The built-in task: writes the value under its key, fenced, then waits for a simulated asynchronous job.
package struct LockAndSet: BriefTask, GatedTask {
    package static let kind = "lockAndSet"

    private let values: ValueStore
    private let lastFence: (@Sendable () async throws -> Fence)?

    /// - Parameters:
    ///   - values: Where values are written.
    ///   - lastFence: The highest fence that the database has drawn; asked when a write is refused.
    package init(values: ValueStore, lastFence: (@Sendable () async throws -> Fence)? = nil) {
        self.values = values
        self.lastFence = lastFence
    }

    package var obstacle: String? { values.obstacle }
    package var warnings: [String] { values.warnings }

    /// The value as it is.
    package static func payload(of value: String) -> String { value }

    package func run(_ value: String, _ context: TaskContext) async throws {
        let job = context.job
        if case .refused(let highest) = try await write(job, to: context.key) {
            try await requireDrawn(highest)
            throw TaskRefusal(fence: job.fence, highest: highest)
        }
        // Of the ways to sleep, the one that takes the least memory.
        if job.duration > .zero { try await Task.sleep(nanoseconds: UInt64(job.duration.milliseconds) * 1_000_000) }
    }

    /// Checks that the database has drawn the fence that refuses a write.
    ///
    /// Else it was restored from an older backup, and all that it draws for the key is refused: no fault of the job's.
    private func requireDrawn(_ highest: Fence) async throws(TaskOutage) {
        // When it does not answer either, the refusal counts as any other.
        guard let drawn = try? await lastFence?(), highest > drawn else { return }
        throw TaskOutage(
            description: """
                the value node knows fence \(highest), and the database has drawn \(drawn) at most: it was restored from an \
                older backup; run holdfast doctor --repair with --value-node
                """
        )
    }

    private func write(_ job: ClaimedJob, to key: LockKey) async throws -> FencedWrite.Outcome {
        do {
            return try await values.write(job.value, to: key, fence: job.fence)
        } catch let outage as ValueOutage {
            throw TaskOutage(description: outage.description)
        }
    }
}
