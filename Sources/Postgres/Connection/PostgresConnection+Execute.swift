import CLibPQ

/// A statement as one connection has prepared it: parameters of other types are another preparation.
struct PreparedKey: Hashable {
    let name: String
    let types: [UInt32]
}

/// What the server calls a prepared statement.
struct Preparation {
    let serverName: String
    let sql: String
}

extension PostgresConnection {
    /// Runs a statement.
    ///
    /// - Parameters:
    ///   - statement: What to run.
    ///   - parameters: The values of `$1`, `$2`, …
    ///   - limit: How long it may take; the configuration's statement timeout when `nil`.
    /// - Returns: Its rows, and how many it affected; also when the task was cancelled too late.
    /// - Throws: ``PostgresError``. After `deadline`, `cancelled` or `server` nothing was changed, unless the connection
    ///   ``isBroken``; then, as after `connectionLost`, nobody knows.
    package func execute(
        _ statement: Statement,
        _ parameters: [Parameter] = [],
        within limit: Duration? = nil
    ) async throws(PostgresError) -> Rows {
        try checkSendable(parameters, statement)
        return try await perform(statement.name, within: limit) { (step) throws(PostgresError) in
            try send(statement, parameters, step)
            return Rows(try collect(step))
        }
    }

    /// Runs statements without parameters, as a migration has them: in one transaction unless they say otherwise.
    ///
    /// - Throws: ``PostgresError``; the message names the line at which the server stopped.
    package func executeScript(
        _ sql: String,
        name: String = "script",
        within limit: Duration? = nil
    ) async throws(PostgresError) {
        guard !sql.utf8.contains(0) else { throw PostgresError(.encoding, "the script holds a NUL", statement: name) }
        try await perform(name, within: limit) { (step) throws(PostgresError) in
            guard PQsendQuery(handle.pointer, sql) == 1 else { throw lost(step) }
            try flush(step)
            do throws(PostgresError) {
                _ = try collect(step)
            } catch {
                throw error.withLine(in: sql)
            }
        }
    }

    /// Sends a statement, and prepares it first when this connection has not.
    func send(_ statement: Statement, _ parameters: [Parameter], _ step: Step) throws(PostgresError) {
        let preparation = try prepareIfNeeded(statement, parameters, step)
        try put(statement, parameters, preparedAs: preparation, step)
        try flush(step)
    }

    /// Hands a statement to libpq, prepared as ``prepareIfNeeded(_:_:_:)`` has it, for ``flush(_:)`` to send.
    func put(
        _ statement: Statement,
        _ parameters: [Parameter],
        preparedAs preparation: String?,
        _ step: Step
    ) throws(PostgresError) {
        let isPut = parameters.withPointers { values, lengths, formats in
            let count = Int32(values.count)
            return if let preparation {
                PQsendQueryPrepared(handle.pointer, preparation, count, values, lengths, formats, 1)
            } else {
                PQsendQueryParams(
                    handle.pointer,
                    statement.sql,
                    count,
                    parameters.map(\.type),
                    values,
                    lengths,
                    formats,
                    1
                )
            }
        }
        guard isPut == 1 else { throw lost(step) }
    }

    /// Prepares a statement when it is to be prepared, and this connection has not.
    ///
    /// - Returns: What the server calls it; `nil` when it is not prepared.
    func prepareIfNeeded(
        _ statement: Statement,
        _ parameters: [Parameter],
        _ step: Step
    ) throws(PostgresError) -> String? {
        guard statement.isPrepared, preparesStatements else { return nil }
        let types = parameters.map(\.type)
        let key = PreparedKey(name: statement.name, types: types)
        if let known = prepared[key] {
            precondition(known.sql == statement.sql, "two statements are called \(statement.name)")
            return known.serverName
        }
        // No other connection has this name: behind a pooler that mixes them up, none answers to another's statement.
        let serverName = "\(statement.name)/\(prepared.count)/\(preparationID)"
        guard PQsendPrepare(handle.pointer, serverName, statement.sql, Int32(types.count), types) == 1 else {
            throw lost(step)
        }
        try flush(step)
        _ = try collect(step)
        prepared[key] = Preparation(serverName: serverName, sql: statement.sql)
        return serverName
    }

    func checkSendable(_ parameters: [Parameter], _ statement: Statement) throws(PostgresError) {
        guard let index = parameters.firstIndex(where: \.holdsNUL) else { return }
        throw PostgresError(
            .encoding,
            "parameter $\(index + 1) holds a NUL character, which text cannot",
            statement: statement.name
        )
    }
}

extension PostgresError {
    /// The error with the line of the script at which the server stopped, where it says so.
    fileprivate func withLine(in sql: String) -> PostgresError {
        guard let position, position > 0 else { return self }
        var error = self
        let line = sql.unicodeScalars.prefix(position - 1).count { $0 == "\n" } + 1
        error.message += " (at line \(line))"
        return error
    }
}
