package import Redlock

/// How a task wants its attempt to end; it throws one of these.
public enum TaskEnd: Error, Sendable, Equatable, CustomStringConvertible {
    /// The attempt failed, and the next is to be made after this time, and not after the usual backoff.
    case retried(after: Duration, _ reason: String)
    /// It is too early: the job is to run after this time, and no attempt is burned. Its line waits for it.
    case snoozed(for: Duration, _ reason: String)
    /// The job has failed for good, whatever attempts are left.
    case failed(_ reason: String)

    /// Why.
    public var description: String {
        switch self {
        case .retried(_, let reason), .snoozed(_, let reason), .failed(let reason): reason
        }
    }
}

/// A later attempt has written: this one's fence is stale.
package struct TaskRefusal: Error, CustomStringConvertible {
    package let fence: Fence
    package let highest: Fence

    package init(fence: Fence, highest: Fence) {
        self.fence = fence
        self.highest = highest
    }

    package var description: String { "value write: fence \(fence) is stale, \(highest) has written" }
}

/// Something that the task needs is away, and the attempt cannot be held against the job.
package struct TaskOutage: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}
