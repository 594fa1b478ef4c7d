/// One exchange with the server, and how long it may take.
struct Step {
    /// How long the server has to answer a cancel before the connection is given up.
    static let grace = Duration.seconds(1)
    /// How often a wait looks whether its task was cancelled and the server took no notice.
    private static let glance = Duration.milliseconds(250)

    /// The name of what is being run, or waited for.
    var statement: String
    /// The number by which it is cancelled.
    let number: UInt64
    /// How long it may take in all.
    let limit: Duration
    private var deadline: ContinuousClock.Instant

    init(statement: String, number: UInt64, limit: Duration) {
        self.statement = statement
        self.number = number
        self.limit = limit
        deadline = .now + limit
    }

    /// What a wait is to do next.
    enum Wait: Equatable {
        case wait(milliseconds: Int32)
        case cancel
        case giveUp(Canceller.Reason)
    }

    /// Decides what to do while the server has not answered.
    func wait(at now: ContinuousClock.Instant, request: Canceller.Request?) -> Wait {
        let end = request.map { $0.madeAt + Self.grace } ?? deadline
        guard now < end else { return request.map { .giveUp($0.reason) } ?? .cancel }
        return .wait(milliseconds: Int32(min(end - now, Self.glance).milliseconds))
    }

    /// An error of this step.
    func error(_ code: PostgresError.Code, _ message: String) -> PostgresError {
        PostgresError(code, message, statement: statement)
    }

    /// The error of a step that was cancelled.
    func error(for reason: Canceller.Reason) -> PostgresError {
        switch reason {
        case .task: error(.cancelled, "the task was cancelled")
        case .deadline: error(.deadline, "no answer within \(limit)")
        }
    }
}
