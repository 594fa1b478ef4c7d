import DequeModule

/// Who has which connection of a pool, who waits, and when it may try again to open one.
///
/// Every event returns the one thing that is to be done; a connection that an event does not hand on is dropped.
package struct PoolState<Connection, Waiter>: ~Copyable {
    package typealias Instant = ContinuousClock.Instant

    package enum Action {
        case nothing
        case lend(Connection, Waiter)
        case open
        case fail([Waiter], PostgresError)
    }

    private struct Waiting {
        let id: Int
        let waiter: Waiter
        let deadline: Instant
    }

    private let size: Int
    private let backoff = Backoff()
    private var idle: [Connection] = []
    private var waiting: Deque<Waiting> = []
    private var openCount = 0
    private var openingCount = 0
    private var failures = 0
    private var retryAt: Instant?
    private var lastError = PostgresError(.connectionFailed, "never tried")
    private var isClosed = false
    private var isTimerSet = false

    /// - Parameter size: How many connections there may be at a time, at least 1.
    package init(size: Int) {
        precondition(size > 0, "a pool of no connections")
        self.size = size
    }

    /// How many connections are idle, lent or being opened, and how many borrowers wait.
    package var status: PoolStatus {
        PoolStatus(
            idle: idle.count,
            lent: openCount - idle.count,
            opening: openingCount,
            waiting: waiting.count
        )
    }

    /// Someone wants a connection; the one that was used last is lent first.
    package mutating func acquire(_ waiter: Waiter, id: Int, now: Instant, deadline: Instant) -> Action {
        guard !isClosed else { return .fail([waiter], .closed) }
        // Nobody can be waiting while a connection is idle.
        if let connection = idle.popLast() { return .lend(connection, waiter) }
        waiting.append(Waiting(id: id, waiter: waiter, deadline: deadline))
        return openIfNeeded(now)
    }

    /// A connection was opened.
    package mutating func opened(_ connection: Connection) -> Action {
        openingCount -= 1
        openCount += 1
        failures = 0
        retryAt = nil
        return handOn(connection)
    }

    /// A connection could not be opened.
    package mutating func openFailed(_ error: PostgresError, now: Instant, jitter: Double) -> Action {
        openingCount -= 1
        lastError = error
        // Those that were tried at the same time failed together: one failure.
        if retryAt.map({ $0 <= now }) ?? true {
            failures += 1
            retryAt = now + backoff.delay(failures: failures, jitter: jitter)
        }
        return failIfHopeless()
    }

    /// A borrower gave a connection back that can be lent again.
    package mutating func returned(_ connection: Connection) -> Action {
        handOn(connection)
    }

    /// A borrower gave a connection back that cannot be lent again, or it ended while it was idle.
    package mutating func dropped(now: Instant) -> Action {
        openCount -= 1
        return openIfNeeded(now)
    }

    /// A waiter does not want a connection any more.
    ///
    /// - Returns: `nil` when it has had its answer.
    package mutating func remove(_ id: Int) -> Waiter? {
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
        return waiting.remove(at: index).waiter
    }

    /// When to call ``expire(now:)``; `nil` when that is arranged, or nobody waits.
    package mutating func setTimer() -> Instant? {
        guard !isTimerSet, let first = waiting.first else { return nil }
        isTimerSet = true
        return first.deadline
    }

    /// The timer fired: those whose time is up get no connection.
    ///
    /// All wait equally long, so they are the first.
    package mutating func expire(now: Instant) -> Action {
        isTimerSet = false
        var expired: [Waiter] = []
        while let first = waiting.first, first.deadline <= now {
            expired.append(first.waiter)
            waiting.removeFirst()
        }
        guard !expired.isEmpty else { return .nothing }
        // While the database is away, that is the reason, and not how many borrowers there are.
        guard openCount > 0 else { return .fail(expired, .exhausted("none could be opened in time")) }
        return .fail(expired, .exhausted("all \(size) were lent for too long; make the pool larger, or work shorter"))
    }

    /// Refuses all who wait and come, and drops what is idle, now or later.
    package mutating func close() -> Action {
        isClosed = true
        openCount -= idle.count
        idle = []
        return failAll(.closed)
    }

    private mutating func handOn(_ connection: Connection) -> Action {
        guard !isClosed else {
            openCount -= 1
            return .nothing
        }
        if let first = waiting.popFirst() { return .lend(connection, first.waiter) }
        idle.append(connection)
        return .nothing
    }

    private mutating func openIfNeeded(_ now: Instant) -> Action {
        guard openingCount < waiting.count, openCount + openingCount < size else { return .nothing }
        if let retryAt, now < retryAt { return failIfHopeless() }
        openingCount += 1
        return .open
    }

    private mutating func failIfHopeless() -> Action {
        openCount + openingCount == 0 ? failAll(lastError) : .nothing
    }

    private mutating func failAll(_ error: PostgresError) -> Action {
        guard !waiting.isEmpty else { return .nothing }
        defer { waiting = [] }
        return .fail(waiting.map(\.waiter), error)
    }
}

extension PostgresError {
    fileprivate static var closed: PostgresError { exhausted("the pool is closed") }

    fileprivate static func exhausted(_ reason: String) -> PostgresError {
        PostgresError(.poolExhausted, reason)
    }
}
