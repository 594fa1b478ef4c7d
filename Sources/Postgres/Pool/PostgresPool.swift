import Dispatch
package import Logging
import Synchronization

/// Connections that are opened when they are needed, and lent to one borrower at a time, first come, first served.
package final class PostgresPool: Sendable {
    private typealias Waiter = CheckedContinuation<Result<PostgresConnection, PostgresError>, Never>

    private let configuration: PostgresConfiguration
    /// How many connections there are at most.
    package let size: Int
    private let acquireTimeout: Duration
    private let logger: Logger
    private let state: Mutex<PoolState<PostgresConnection, Waiter>>
    private let lastID = Atomic(0)
    private let outage = Mutex(OutageNotice())
    private let timerQueue = DispatchQueue(label: "postgres.pool")

    /// Makes a pool; nothing is opened yet.
    ///
    /// - Parameters:
    ///   - configuration: How to open them.
    ///   - size: How many connections there are at most. Default: 4.
    ///   - acquireTimeout: How long a borrower waits for one. Default: 5 s.
    ///   - logger: For what happens to connections, and the server's notices.
    package init(
        configuration: PostgresConfiguration,
        size: Int = 4,
        acquireTimeout: Duration = .seconds(5),
        logger: Logger
    ) {
        self.configuration = configuration
        self.size = size
        self.acquireTimeout = acquireTimeout
        self.logger = logger
        state = Mutex(PoolState(size: size))
    }

    /// Makes another pool that opens connections as this one does: what borrows from one takes none from the other.
    ///
    /// - Parameter size: How many connections it has at most.
    /// - Returns: A pool, to be closed by itself.
    package func another(size: Int) -> PostgresPool {
        PostgresPool(configuration: configuration, size: size, acquireTimeout: acquireTimeout, logger: logger)
    }

    /// What its connections are doing.
    package var status: PoolStatus { state.withLock { $0.status } }

    /// Lends a connection to `body`.
    ///
    /// - Throws: ``PostgresError`` when there is none: `poolExhausted` when none became free in time, `connectionFailed`
    ///   when none could be opened, at once after a failure of a moment ago; else what `body` throws.
    package func withConnection<Value>(_ body: (PostgresConnection) async throws -> Value) async throws -> Value {
        let connection = try await acquire()
        defer { release(connection) }
        return try await body(connection)
    }

    /// Runs `body` in a transaction on a connection of the pool.
    ///
    /// - Throws: As ``withConnection(_:)`` and ``PostgresConnection/withTransaction(isolation:_:)``.
    package func withTransaction<Value>(
        isolation: TransactionIsolation = .readCommitted,
        _ body: (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        try await withConnection { try await $0.withTransaction(isolation: isolation, body) }
    }

    /// Runs a transaction on a connection of the pool; its first statements are sent with its `begin`.
    ///
    /// - Throws: As ``withConnection(_:)`` and ``PostgresConnection/withTransaction(isolation:startingWith:within:_:)``.
    package func withTransaction<Value: Sendable>(
        isolation: TransactionIsolation = .readCommitted,
        startingWith statements: [BoundStatement],
        within limit: Duration? = nil,
        _ body: @Sendable (_ connection: isolated PostgresConnection, _ first: [Rows]) async throws -> Value
    ) async throws -> Value {
        try await withConnection {
            try await $0.withTransaction(isolation: isolation, startingWith: statements, within: limit, body)
        }
    }

    /// Runs one statement on a connection of the pool.
    ///
    /// - Throws: As ``PostgresConnection/execute(_:_:within:)``, or when there is no connection.
    package func execute(
        _ statement: Statement,
        _ parameters: [Parameter] = [],
        within limit: Duration? = nil
    ) async throws(PostgresError) -> Rows {
        let connection = try await acquire()
        defer { release(connection) }
        return try await connection.execute(statement, parameters, within: limit)
    }

    /// Closes what is idle, refuses who waits or comes, and closes what is lent when it is given back.
    package func close() {
        follow(state.withLock { $0.close() })
    }

    private func acquire() async throws(PostgresError) -> PostgresConnection {
        while true {
            let connection = try await lease()
            guard connection.isStale else { return connection }
            // The server closed it while it was idle, by a restart for example.
            logger.debug("Idle connection had ended")
            follow(state.withLock { $0.dropped(now: .now) })
        }
    }

    private func lease() async throws(PostgresError) -> PostgresConnection {
        guard !Task.isCancelled else { throw .cancelledWaiter }
        let id = lastID.add(1, ordering: .relaxed).newValue
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in
                let now = ContinuousClock.now
                follow(state.withLock { $0.acquire(waiter, id: id, now: now, deadline: now + acquireTimeout) })
                setTimer()
                // The handler may have run before there was anyone to remove.
                if Task.isCancelled { cancelWaiter(id) }
            }
        } onCancel: {
            cancelWaiter(id)
        }
        return try outcome.get()
    }

    private func release(_ connection: PostgresConnection) {
        if connection.isReusable { return follow(state.withLock { $0.returned(connection) }) }
        logger.debug("Connection dropped", metadata: ["db.broken": "\(connection.isBroken)"])
        follow(state.withLock { $0.dropped(now: .now) })
    }

    private func cancelWaiter(_ id: Int) {
        state.withLock { $0.remove(id) }?.resume(returning: .failure(.cancelledWaiter))
    }

    private func follow(_ action: sending PoolState<PostgresConnection, Waiter>.Action) {
        switch action {
        case .nothing: break
        case .lend(let connection, let waiter): waiter.resume(returning: .success(connection))
        case .open: open()
        case .fail(let waiters, let error): for waiter in waiters { waiter.resume(returning: .failure(error)) }
        }
    }

    /// Opens a connection on a thread of its own: a borrower who stops waiting must not stop it.
    private func open() {
        PostgresConnection.open(configuration, logger: logger) { [self] outcome in
            switch outcome {
            case .success(let connection):
                logger.debug("Connection opened")
                if let length = outage.withLock({ $0.succeeded() }) {
                    logger.info("Connected to the database again", metadata: ["after": "\(length)"])
                }
                follow(state.withLock { $0.opened(connection) })
            case .failure(let error):
                let level: Logger.Level = outage.withLock { $0.failed() } ? .warning : .debug
                logger.log(level: level, "Connection not opened", metadata: ["error": "\(error)"])
                let jitter = Double.random(in: 0...1)
                follow(state.withLock { $0.openFailed(error, now: .now, jitter: jitter) })
            }
        }
    }

    private func setTimer() {
        guard let deadline = state.withLock({ $0.setTimer() }) else { return }
        let milliseconds = Int(max(0, (deadline - .now).milliseconds))
        timerQueue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [weak self] in
            guard let self else { return }
            follow(state.withLock { $0.expire(now: .now) })
            setTimer()
        }
    }
}

extension PostgresError {
    fileprivate static var cancelledWaiter: PostgresError {
        PostgresError(.cancelled, "the task was cancelled while it waited for a connection")
    }
}
