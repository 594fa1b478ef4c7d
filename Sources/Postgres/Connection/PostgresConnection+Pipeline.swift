import CLibPQ

extension PostgresConnection {
    /// Sends statements in one go and takes all their results: one round trip, and one more for each statement that this
    /// connection has yet to prepare.
    ///
    /// The server runs none after one that failed.
    ///
    /// - Parameters:
    ///   - statements: At least one, in the order in which they run.
    ///   - limit: How long they may take together; the configuration's statement timeout when `nil`.
    ///   - commits: Whether the last is a commit. Then they are not cancelled with the task, and what breaks the connection
    ///     is an error of the commit, whichever result was waited for: the server may have run all of them.
    /// - Returns: Their results, in the same order.
    /// - Throws: ``PostgresError`` of the first that failed.
    func pipeline(
        _ statements: [BoundStatement],
        within limit: Duration?,
        commits: Bool = false
    ) async throws(PostgresError) -> [ResultHandle] {
        for bound in statements { try checkSendable(bound.parameters, bound.statement) }
        let names = statements.map(\.statement.name)
        return try await perform(names[commits ? names.count - 1 : 0], within: limit, isCancellable: !commits) {
            (step) throws(PostgresError) in
            try sendAll(statements, &step)
            return try collectAll(names, &step, commits: commits).get()
        }
    }

    private func sendAll(_ statements: [BoundStatement], _ step: inout Step) throws(PostgresError) {
        // Before the pipeline, whose results are then the statements', one each.
        var preparations: [String?] = []
        for bound in statements {
            step.statement = bound.statement.name
            preparations.append(try prepareIfNeeded(bound.statement, bound.parameters, step))
        }
        guard PQenterPipelineMode(handle.pointer) == 1 else { throw lost(step) }
        for (bound, preparation) in zip(statements, preparations) {
            try put(bound.statement, bound.parameters, preparedAs: preparation, step)
        }
        guard PQpipelineSync(handle.pointer) == 1 else { throw lost(step) }
    }

    /// Sends what waits to be sent, and takes all results.
    ///
    /// - Returns: The results, or the refusal of one; the connection can go on after either.
    /// - Throws: ``PostgresError`` when the connection is broken.
    private func collectAll(
        _ names: [String],
        _ step: inout Step,
        commits: Bool
    ) throws(PostgresError) -> Result<[ResultHandle], PostgresError> {
        var results: [ResultHandle] = []
        var refusal: PostgresError?
        do throws(PostgresError) {
            try flush(step)
            for name in names {
                step.statement = name
                do throws(PostgresError) {
                    results.append(try collect(step))
                } catch {
                    guard !isBroken else { throw error }
                    // Those behind it say no more than that they were passed over.
                    refusal = refusal ?? error
                }
            }
            guard try nextResult(step)?.status == PGRES_PIPELINE_SYNC, PQexitPipelineMode(handle.pointer) == 1 else {
                throw lost(step)
            }
        } catch {
            // What was refused stays so, and nothing is committed.
            guard var known = refusal else {
                var error = error
                if commits { error.statement = names.last }
                throw error
            }
            known.code = error.code
            throw known
        }
        return refusal.map { .failure($0) } ?? .success(results)
    }
}
