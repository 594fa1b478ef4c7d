package import Logging
package import Redlock

/// The code that runs a kind of job, under a hold.
package protocol TaskHandler: Sendable {
    /// Runs one attempt. It is cancelled when its hold is about to end, and at shutdown.
    ///
    /// - Throws: ``TaskRefusal`` when a fence turned it away, ``TaskOutage`` when something that it needs is away (no
    ///   attempt is burned then); anything else fails the attempt.
    func run(_ context: TaskContext) async throws
}

/// What a task is given.
package struct TaskContext: Sendable {
    package let job: ClaimedJob
    package let key: LockKey
    package let hold: Hold
    package let logger: Logger

    package init(job: ClaimedJob, key: LockKey, hold: Hold, logger: Logger) {
        self.job = job
        self.key = key
        self.hold = hold
        self.logger = logger
    }
}

/// A later attempt has written: this one's fence is stale.
package struct TaskRefusal: Error, CustomStringConvertible {
    package let fence: Fence
    package let highest: Fence

    package var description: String { "value write: fence \(fence) is stale, \(highest) has written" }
}

/// Something that the task needs is away, and the attempt cannot be held against the job.
package struct TaskOutage: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}
