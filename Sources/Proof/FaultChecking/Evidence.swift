/// What a run left behind outside the code under test, and in the SQL history that is to be questioned.
///
/// Times named `…Nanoseconds` are of this machine's monotonic clock, which all processes share; those in microseconds are
/// of the database's clock.
package struct Evidence: Sendable {
    /// What the clients sent, and what they were answered; for each key in the order of sending.
    package var submissions: [Submission] = []
    /// What tasks wrote of themselves, in no order.
    package var trace: [TraceEvent] = []
    /// The value node's own log, in its order.
    package var writes: [ValueWrite] = []
    /// The value of each key at the end.
    package var values: [String: String] = [:]
    /// All rows of `finished_jobs`.
    package var finished: [FinishedJob] = []
    /// The ids in `jobs`, at the end.
    package var unfinished: [Int64] = []
    /// All attempts that a recorded hold may serve: which of them it came to is not known when its worker died.
    package var permits: [Permit] = []
    /// All rows of `lock_holds`.
    package var holds: [RecordedHold] = []
    /// Attempts that were settled although their line had been put back.
    package var lateSettlements: [LateSettlement] = []
    /// Rows of dead workers' claims that were put back.
    package var rescues: [Rescue] = []
    /// Which process each worker number was, as `name/process`; of some that lived for a moment it is not known.
    package var workers: [Int64: String] = [:]
    /// Ends of attempts, as the history has them.
    package var ends: [RecordedEnd] = []
    /// How many rows of the history there are for a job and a fence, extensions left out, where they are more than six.
    package var longHistories: [LongHistory] = []
    /// Holds under which several jobs began long after the slice that a hold is shared for.
    package var longSlices: [LongSlice] = []
    /// Votes for a lock, by the name that a worker has for the node.
    package var votes: [RecordedVote] = []
    /// What nodes are, by the names that workers have for them.
    package var nodeNames: [String: String] = [:]
    /// When lock nodes answered with errors.
    package var nodeErrors: [NodeErrorWindow] = []
    /// What the database's clock shows, less the monotonic one, in microseconds, as long as nobody steps it.
    package var wallClockOffset: Int64 = 0
    /// What `holdfast audit verify` found at the end.
    package var findings: [AuditFinding] = []
    /// What `holdfast doctor` said at the end.
    package var problems: [String] = []
    /// When the rows were read, by the database's clock, in microseconds.
    package var readAt: Int64 = .max
    /// What foreign clients held.
    package var foreignHolds: [ForeignHold] = []
    /// What was done to the system.
    package var faults: [InjectedFault] = []

    package init() {}

    /// Whether the database's clock was stepped: times of the history are not to be compared then.
    package var isClockStepped: Bool { faults.contains { $0.kind == "postgres-clock" } }

    /// A time of the database's clock on the monotonic one, in nanoseconds.
    func monotonic(_ microseconds: Int64) -> Int64 { (microseconds - wallClockOffset) * 1000 }
}

/// A job that a client sent, and what it knows of it.
package struct Submission: Sendable, Codable, Equatable {
    package enum Answer: Sendable, Codable, Equatable {
        /// 202, with the job's number.
        case accepted(Int64)
        /// It said that nothing was stored.
        case refused
        /// No answer, or one that leaves it open.
        case inDoubt
    }

    package var key: String
    /// Sent once only.
    package var value: String
    package var answer: Answer
    package var answeredAtNanoseconds: Int64

    package init(key: String, value: String, answer: Answer, answeredAtNanoseconds: Int64 = 0) {
        self.key = key
        self.value = value
        self.answer = answer
        self.answeredAtNanoseconds = answeredAtNanoseconds
    }
}

/// A write that took effect, as the value node logged it.
package struct ValueWrite: Sendable, Equatable {
    package var key: String
    package var value: String
    package var fence: Int64

    package init(key: String, value: String, fence: Int64) {
        self.key = key
        self.value = value
        self.fence = fence
    }
}

/// A job that is over, in SQL.
package struct FinishedJob: Sendable {
    package var id: Int64
    package var key: String
    package var value: String
    package var state: String
    /// Of its last attempt.
    package var fence: Int64?
    package var error: String?
    /// How many attempts it took, the last one included.
    package var attempts: Int

    package init(
        id: Int64,
        key: String,
        value: String,
        state: String,
        fence: Int64?,
        error: String? = nil,
        attempts: Int = 1
    ) {
        self.attempts = attempts
        self.id = id
        self.key = key
        self.value = value
        self.state = state
        self.fence = fence
        self.error = error
    }
}

/// An attempt that may run, as the row of its hold's acquisition says.
package struct Permit: Sendable {
    package var key: String
    package var job: Int64
    package var fence: Int64

    package init(key: String, job: Int64, fence: Int64) {
        self.key = key
        self.job = job
        self.fence = fence
    }
}

/// A hold, in SQL; times in microseconds of the database's clock.
package struct RecordedHold: Sendable {
    package var key: String
    package var job: Int64
    package var fence: Int64
    package var acquiredAt: Int64
    /// `nil` when nobody recorded its end.
    package var endedAt: Int64?
    package var validUntil: Int64

    package init(key: String, job: Int64, fence: Int64, acquiredAt: Int64, endedAt: Int64?, validUntil: Int64) {
        self.key = key
        self.job = job
        self.fence = fence
        self.acquiredAt = acquiredAt
        self.endedAt = endedAt
        self.validUntil = validUntil
    }
}

/// An attempt of a worker that was given up, and that lived on and settled it.
package struct LateSettlement: Sendable {
    package var job: Int64
    package var fence: Int64
    /// Whether the history says that it was turned away.
    package var wasRefused: Bool

    package init(job: Int64, fence: Int64, wasRefused: Bool) {
        self.job = job
        self.fence = fence
        self.wasRefused = wasRefused
    }
}

/// A line of a dead worker that was put back.
package struct Rescue: Sendable {
    package var key: String
    /// The attempt that was under way; `nil` when none was recorded.
    package var job: Int64?
    package var worker: Int64
    /// In microseconds of the database's clock.
    package var at: Int64

    package init(key: String, job: Int64?, worker: Int64, at: Int64) {
        self.key = key
        self.job = job
        self.worker = worker
        self.at = at
    }
}

/// The end of an attempt, as the history has it.
package struct RecordedEnd: Sendable {
    package var job: Int64
    package var fence: Int64
    package var outcome: String

    package init(job: Int64, fence: Int64, outcome: String) {
        self.job = job
        self.fence = fence
        self.outcome = outcome
    }
}

/// An attempt with many rows in the history.
package struct LongHistory: Sendable {
    package var job: Int64
    package var fence: Int64
    package var rows: Int

    package init(job: Int64, fence: Int64, rows: Int) {
        self.job = job
        self.fence = fence
        self.rows = rows
    }
}

/// A hold that served jobs for long.
package struct LongSlice: Sendable {
    package var key: String
    /// The first job's.
    package var fence: Int64
    /// How many of its jobs began late.
    package var late: Int

    package init(key: String, fence: Int64, late: Int) {
        self.key = key
        self.fence = fence
        self.late = late
    }
}

/// A node's vote for a lock.
package struct RecordedVote: Sendable {
    package var node: String
    package var fence: Int64
    /// In microseconds of the database's clock.
    package var at: Int64

    package init(node: String, fence: Int64, at: Int64) {
        self.node = node
        self.fence = fence
        self.at = at
    }
}

/// A time in which a lock node answered every write with an error.
package struct NodeErrorWindow: Sendable {
    package var node: String
    package var fromNanoseconds: Int64
    package var untilNanoseconds: Int64

    package init(node: String, fromNanoseconds: Int64, untilNanoseconds: Int64) {
        self.node = node
        self.fromNanoseconds = fromNanoseconds
        self.untilNanoseconds = untilNanoseconds
    }
}

/// What `holdfast audit verify` says is wrong.
package struct AuditFinding: Sendable {
    package var check: String
    package var line: String
    /// Whether it rests on times of the database's clock.
    package var isOfTime: Bool

    package init(check: String, line: String, isOfTime: Bool) {
        self.check = check
        self.line = line
        self.isOfTime = isOfTime
    }
}

/// A lock that another client had on a quorum of nodes.
package struct ForeignHold: Sendable, Codable {
    package var key: String
    /// After the quorum had voted.
    package var fromNanoseconds: Int64
    /// Before it looked whether its token was still there.
    package var untilNanoseconds: Int64
    /// Nodes that had lost its token too early, though nobody had touched them.
    package var robbedOn: [String]

    package init(key: String, fromNanoseconds: Int64, untilNanoseconds: Int64, robbedOn: [String]) {
        self.key = key
        self.fromNanoseconds = fromNanoseconds
        self.untilNanoseconds = untilNanoseconds
        self.robbedOn = robbedOn
    }
}

/// Something that was done to the system.
package struct InjectedFault: Sendable, Codable {
    package var kind: String
    package var target: String
    /// The process that was killed or frozen; `nil` for other faults.
    package var process: Int32?
    package var fromNanoseconds: Int64
    /// When the system was whole again, as far as this fault goes.
    package var untilNanoseconds: Int64

    package init(kind: String, target: String, process: Int32?, fromNanoseconds: Int64, untilNanoseconds: Int64) {
        self.kind = kind
        self.target = target
        self.process = process
        self.fromNanoseconds = fromNanoseconds
        self.untilNanoseconds = untilNanoseconds
    }
}
