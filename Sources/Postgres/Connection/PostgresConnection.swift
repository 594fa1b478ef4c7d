import Dispatch
package import Logging
import Synchronization

/// One connection to a PostgreSQL server, for one borrower at a time.
///
/// It waits for the server on a thread of its own, never on the cooperative pool, and for no longer than each call's
/// deadline. Dropping the last reference closes it.
package actor PostgresConnection {
    private let executor: QueueExecutor
    let handle: ConnectionHandle
    let canceller: Canceller
    let logger: Logger
    let statementTimeout: Duration
    let preparesStatements: Bool
    /// Ends the names of what it prepares.
    let preparationID = String(UInt64.random(in: .min ... .max), radix: 36)
    /// What this connection has prepared.
    var prepared: [PreparedKey: Preparation] = [:]
    /// Whether the last transaction that was begun has been committed.
    var isCommitted = false
    /// The server's clock, as it was last read.
    var lastClock: ServerClock?
    private let condition = Condition()

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// The queue that the actor runs on.
    nonisolated var queue: QueueExecutor { executor }

    private init(
        executor: QueueExecutor,
        handle: ConnectionHandle,
        configuration: PostgresConfiguration,
        logger: Logger
    ) {
        self.executor = executor
        self.handle = handle
        self.logger = logger
        statementTimeout = configuration.statementTimeout
        preparesStatements = configuration.preparesStatements
        canceller = Canceller(handle)
    }

    /// Opens a connection.
    ///
    /// It goes on for up to the connect timeout for each host although the task is cancelled.
    ///
    /// - Throws: ``PostgresError`` (`connectionFailed`), with what libpq says of each host.
    package static func open(
        _ configuration: PostgresConfiguration,
        logger: Logger
    ) async throws(PostgresError) -> PostgresConnection {
        let outcome = await withCheckedContinuation { continuation in
            open(configuration, logger: logger) { continuation.resume(returning: $0) }
        }
        return try outcome.get()
    }

    /// Opens a connection on a thread of its own, and calls back from there.
    static func open(
        _ configuration: PostgresConfiguration,
        logger: Logger,
        completion: @escaping @Sendable (Result<PostgresConnection, PostgresError>) -> Void
    ) {
        let executor = QueueExecutor(label: "postgres.connection")
        executor.queue.async {
            let outcome = Result { () throws(PostgresError) in
                let handle = try ConnectionHandle(configuration, logger: logger)
                return PostgresConnection(
                    executor: executor,
                    handle: handle,
                    configuration: configuration,
                    logger: logger
                )
            }
            completion(outcome)
        }
    }

    /// Whether it broke, or was given up: it can run nothing more.
    package nonisolated var isBroken: Bool { condition.isBroken.load(ordering: .acquiring) }

    /// Whether another borrower may have it: it is whole, in no transaction or COPY, and its statements are in force.
    package nonisolated var isReusable: Bool {
        !isBroken && condition.isIdle.load(ordering: .acquiring)
            && !condition.isOutdated.load(ordering: .acquiring)
    }

    /// Whether the server has said something to the idle connection, which is how it says that it ended.
    nonisolated var isStale: Bool { handle.hasInput }

    /// The process that serves this connection.
    package nonisolated var backendID: Int32 { handle.backendID }

    // Runs what talks to the server, within a deadline and, if it is cancellable, until the task is cancelled.
    func perform<Value>(
        _ name: String,
        within limit: Duration?,
        isCancellable: Bool = true,
        _ body: (inout Step) throws(PostgresError) -> Value
    ) async throws(PostgresError) -> Value {
        guard !isBroken else {
            throw PostgresError(.connectionLost, "the connection broke earlier", statement: name)
        }
        guard !isCancellable || !Task.isCancelled else {
            throw PostgresError(.cancelled, "the task was cancelled before it was sent", statement: name)
        }
        let warnings = handle.warnings
        let number = canceller.begin()
        var step = Step(statement: name, number: number, limit: limit ?? statementTimeout)
        var outcome: Result<Value, PostgresError>
        if isCancellable {
            outcome = await withTaskCancellationHandler {
                run(&step, body)
            } onCancel: {
                canceller.cancel(number, for: .task)
            }
        } else {
            outcome = run(&step, body)
        }
        // A commit that is cancelled while it waits for a standby is told as done, with no more than a warning that the
        // standby may not have it.
        if let request = canceller.request, case .success = outcome, handle.warnings > warnings {
            giveUp()
            outcome = .failure(step.error(for: request.reason))
        }
        // A cancel that has not returned could hit the next statement.
        if !canceller.end(number, waiting: isBroken ? .zero : Step.grace) { giveUp() }
        condition.isIdle.store(handle.isIdle, ordering: .releasing)
        return try outcome.get()
    }

    // A method, so that the closure above captures `self`: without that it leaves the actor, and blocks the pool.
    private func run<Value>(
        _ step: inout Step,
        _ body: (inout Step) throws(PostgresError) -> Value
    ) -> Result<Value, PostgresError> {
        preconditionIsolated()
        return Result { () throws(PostgresError) in try body(&step) }
    }

    /// Leaves the connection to its end: nobody knows what it would answer next.
    func giveUp() {
        condition.isBroken.store(true, ordering: .releasing)
    }

    /// Keeps the connection from being lent again: the statements it has prepared are no longer in force.
    func retire() {
        condition.isOutdated.store(true, ordering: .releasing)
    }
}
