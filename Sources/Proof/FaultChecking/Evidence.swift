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
    /// All rows of `lock_holds`.
    package var holds: [RecordedHold] = []
    /// Attempts that were settled although their line had been put back.
    package var lateSettlements: [LateSettlement] = []
    /// What `holdfast doctor` said at the end.
    package var problems: [String] = []
    /// When the rows were read, by the database's clock, in microseconds.
    package var readAt: Int64 = .max
    /// What foreign clients held.
    package var foreignHolds: [ForeignHold] = []
    /// What was done to the system.
    package var faults: [InjectedFault] = []

    package init() {}
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

    package init(id: Int64, key: String, value: String, state: String, fence: Int64?, error: String? = nil) {
        self.id = id
        self.key = key
        self.value = value
        self.state = state
        self.fence = fence
        self.error = error
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
