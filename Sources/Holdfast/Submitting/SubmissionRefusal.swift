package import Redlock

/// Why a submission that is well formed is not taken.
package enum SubmissionRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// The queue has as many unfinished jobs as it may have.
    case queueFull(queue: String, limit: Int)
    /// The key has as many unfinished jobs in line as it may have.
    case lineFull(key: LockKey, limit: Int)
    /// The idempotency key has been used for another submission.
    case idempotencyKeyUsed(key: String, job: JobID)

    package var description: String {
        switch self {
        case .queueFull(let queue, let limit):
            "queue \(queue) is full: it may have \(limit) unfinished jobs; submit it later"
        case .lineFull(let key, let limit):
            "the line of key \(key) is full: it may have \(limit) unfinished jobs; submit it later"
        case .idempotencyKeyUsed(let key, let job):
            "idempotency key \(key) has been used for job \(job), which is another; use a new one"
        }
    }
}

/// Why a batch is not taken.
package struct BatchRefusal: Error, Sendable {
    /// The first job that is refused, from 0.
    package let index: Int
    package let refusal: SubmissionRefusal
}
