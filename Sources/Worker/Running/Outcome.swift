import Holdfast
import Redlock

/// How an attempt that had its lock ended.
enum Outcome: Sendable {
    case succeeded
    /// The worker shuts down.
    case interrupted
    /// Something that the attempt needs is away.
    case outage(String)
    /// The claim's line was put back or claimed again before the task started.
    case stale(String)
    /// A fence turned the task away.
    case refused(String)
    /// The hold could not be extended; the validity that was left when the task was cancelled.
    case lost(margin: Duration?)
    /// The task went past its limit.
    case overrun
    /// Somebody cancelled the job.
    case cancelled
    case failed(String)
    /// The task said what is to become of the job.
    case said(TaskEnd)

    /// Runs an attempt's work, and sorts out how it ended.
    init(_ body: () async throws -> Void) async {
        do {
            try await body()
            self = .succeeded
        } catch {
            self = Outcome(of: error)
        }
    }

    // Not inlined, or its temporaries would stay in the memory of each job that runs.
    @inline(never)
    private init(of error: any Error) {
        switch error {
        case let error as LockError: self = error.code == .overrun ? .overrun : .lost(margin: error.margin)
        case let error as TaskRefusal: self = .refused(error.description)
        case let error as TaskOutage: self = .outage(error.description)
        case let error as StaleClaim: self = .stale(error.description)
        case let error as HistoryOutage: self = .outage(error.description)
        case is JobCancelled: self = .cancelled
        case let end as TaskEnd: self = .said(end)
        case is CancellationError where Task.isCancelled: self = .interrupted
        default: self = .failed("\(error)")
        }
    }

    var isSuccess: Bool { if case .succeeded = self { true } else { false } }

    /// The event that closes the hold; a job that passes its hold on has another.
    var endOfHold: LockEvent.Kind {
        switch self {
        case .lost: .lost
        case .overrun: .overrun
        default: .released
        }
    }

    /// All that ``name`` may be.
    static let names = [
        "succeeded", "interrupted", "outage", "stale", "refused", "lost", "overrun", "cancelled", "failed", "snoozed",
    ]

    var name: String {
        switch self {
        case .succeeded: "succeeded"
        case .interrupted: "interrupted"
        case .outage: "outage"
        case .stale: "stale"
        case .refused: "refused"
        case .lost: "lost"
        case .overrun: "overrun"
        case .cancelled: "cancelled"
        case .failed, .said(.failed), .said(.retried): "failed"
        case .said(.snoozed): "snoozed"
        }
    }

    /// Why, in words; `nil` for a success.
    var reason: String? {
        switch self {
        case .succeeded: nil
        case .interrupted: "the worker shut down"
        case .outage(let reason), .stale(let reason), .refused(let reason), .failed(let reason): reason
        case .said(let end): end.description
        case .cancelled: JobCancelled().description
        case .lost: "the lock could not be extended, and the task was cancelled"
        case .overrun: "the task took longer than an attempt may, and was cancelled"
        }
    }
}

/// The lock history could not be written, so the task was not started.
struct HistoryOutage: Error, CustomStringConvertible {
    let reason: String
    var description: String { "the lock history cannot be written: \(reason)" }
}
