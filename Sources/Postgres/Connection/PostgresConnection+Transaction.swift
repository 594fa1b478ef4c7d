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
        try await begin(isolation)
        let value: Value
        do {
            value = try await body(self)
            guard !Task.isCancelled else {
                throw PostgresError(.cancelled, "the task was cancelled before it", statement: "commit")
            }
        } catch {
            throw await rollBack(after: error)
        }
        try await commit()
        return value
    }

    private func begin(_ isolation: TransactionIsolation) async throws(PostgresError) {
        precondition(handle.isIdle || isBroken, "a transaction within another")
        _ = try await command("begin isolation level \(isolation.rawValue)", isCancellable: true)
    }

    private func commit() async throws(PostgresError) {
        let outcome = try await command("commit", isCancellable: false)
        // The server answers so, and with no error, when a statement had failed and `body` went on.
        guard outcome != "ROLLBACK" else {
            throw PostgresError(
                .server,
                "rolled back, because a statement of the transaction had failed",
                statement: "commit",
                sqlState: "25P02"
            )
        }
    }

    // For a cancelled caller too. The error is returned with what went wrong in the rollback.
    private func rollBack(after error: any Error) async -> any Error {
        // The server rolls back by itself what a broken connection had begun.
        guard !isBroken else { return error }
        do throws(PostgresError) {
            _ = try await command("rollback", isCancellable: false)
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
