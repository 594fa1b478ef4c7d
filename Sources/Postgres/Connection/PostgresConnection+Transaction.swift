import CLibPQ
import Logging

/// What a transaction sees of others.
package enum TransactionIsolation: String, Sendable {
    case readCommitted = "read committed"
    case repeatableRead = "repeatable read"
    case serializable = "serializable"
}

extension PostgresConnection {
    /// Runs `body` in a transaction: commits when it returns, rolls back when it throws.
    ///
    /// A commit that has been sent is not cancelled with the task.
    ///
    /// - Throws: What `body` throws, with what went wrong in the rollback as its aftermath. ``PostgresError`` when the
    ///   transaction could not be begun or committed; after `connectionLost` or `deadline` of `commit`, nobody knows
    ///   whether it was.
    package nonisolated func withTransaction<Value>(
        isolation: TransactionIsolation = .readCommitted,
        _ body: (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        do {
            _ = try await begin(isolation, [], within: nil)
            let value = try await body(self)
            if await !isCommitted { _ = try await commit() }
            return value
        } catch {
            throw await rollBack(after: error)
        }
    }

    /// Runs a transaction whose first statements are sent with its `begin`, in one round trip.
    ///
    /// `body` runs on the connection's thread: between its statements no other thread has to wake up. It may end the
    /// transaction by ``commit(after:within:)``, to send its last statements with the commit.
    ///
    /// - Parameters:
    ///   - isolation: What it sees of others.
    ///   - statements: The first ones.
    ///   - limit: How long `begin` and they may take together; the configuration's statement timeout when `nil`.
    ///   - body: The rest; it gets the rows of each of the first statements, in order.
    /// - Returns: What `body` returns.
    /// - Throws: As ``withTransaction(isolation:_:)``.
    package func withTransaction<Value: Sendable>(
        isolation: TransactionIsolation = .readCommitted,
        startingWith statements: [BoundStatement],
        within limit: Duration? = nil,
        _ body: @Sendable (_ connection: isolated PostgresConnection, _ first: [Rows]) async throws -> Value
    ) async throws -> Value {
        do {
            let value = try await body(self, begin(isolation, statements, within: limit))
            if !isCommitted { _ = try await commit() }
            return value
        } catch {
            throw await rollBack(after: error)
        }
    }

    /// Runs the last statements of a transaction and commits it, in one round trip.
    ///
    /// Only in the body of a transaction, as the last thing that it does. They are not cancelled with the task once they
    /// have been sent, and nothing is committed when one of them fails.
    ///
    /// - Parameters:
    ///   - statements: The last ones.
    ///   - limit: How long they and the commit may take together; the configuration's statement timeout when `nil`.
    /// - Returns: The rows of each, in order.
    /// - Throws: ``PostgresError``; after `connectionLost` or `deadline` of `commit`, nobody knows whether it was done.
    package func commit(
        after statements: [BoundStatement] = [],
        within limit: Duration? = nil
    ) async throws(PostgresError) -> [Rows] {
        guard !Task.isCancelled else {
            throw PostgresError(.cancelled, "the task was cancelled before it", statement: "commit")
        }
        guard !handle.isIdle else {
            throw PostgresError(.server, "the transaction is over", statement: "commit", sqlState: "25P01")
        }
        let results = try await pipeline(statements + [.command("commit")], within: limit, commits: true)
        // The server answers so, and with no error, when a statement had failed and the transaction went on.
        guard results.last?.command != "ROLLBACK" else {
            throw PostgresError(
                .server,
                "rolled back, because a statement of the transaction had failed",
                statement: "commit",
                sqlState: "25P02"
            )
        }
        isCommitted = true
        return results.dropLast().map(Rows.init)
    }

    private func begin(
        _ isolation: TransactionIsolation,
        _ statements: [BoundStatement],
        within limit: Duration?
    ) async throws(PostgresError) -> [Rows] {
        precondition(handle.isIdle || isBroken, "a transaction within another")
        isCommitted = false
        let begin = BoundStatement.command("begin isolation level \(isolation.rawValue)")
        return try await pipeline([begin] + statements, within: limit).dropFirst().map(Rows.init)
    }

    // For a cancelled caller too. The error is returned with what went wrong in the rollback.
    private func rollBack(after error: any Error) async -> any Error {
        // The server rolls back by itself what a broken connection had begun; and it may be over, or never have begun.
        guard !isBroken, !handle.isIdle else { return error }
        do throws(PostgresError) {
            try await perform("rollback", within: nil, isCancellable: false) { (step) throws(PostgresError) in
                guard PQsendQuery(handle.pointer, "rollback") == 1 else { throw lost(step) }
                try flush(step)
                _ = try collect(step)
            }
            return error
        } catch let trouble {
            guard var first = error as? PostgresError else {
                logger.warning("Transaction not rolled back", metadata: ["error": "\(trouble)"])
                return error
            }
            first.aftermath = "rollback: \(trouble.code.rawValue)"
            return first
        }
    }
}
