extension RedisNode {
    /// Runs a script: by its hash, and by its source on a node that does not know it (restarted nodes forget scripts).
    ///
    /// A caller that is cancelled waits all the same: what the script did is to be known.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: `KEYS` in the script.
    ///   - arguments: `ARGV` in the script.
    ///   - limit: How long the reply is waited for, from now, the second try included.
    /// - Returns: The reply; an error reply is one, too.
    /// - Throws: ``RedisError`` when there is no reply.
    package func evaluate(
        _ script: RedisScript,
        keys: [String],
        arguments: [any RedisArgument] = [],
        within limit: Duration
    ) async throws(RedisError) -> RedisReply {
        try await withCheckedContinuation { continuation in
            let input = RedisScript.Input(keys: keys, arguments: arguments)
            evaluate(script, input, within: limit) { continuation.resume(returning: $0) }
        }.get()
    }

    private func evaluate(
        _ script: RedisScript,
        _ input: RedisScript.Input,
        within limit: Duration,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        let start = ContinuousClock.now
        _ = send(RedisCommands(script.evaluationByHash(input)), within: limit) { [self] result in
            guard case .success(let replies) = result, replies[0].isUnknownScript else {
                return completion(result.map { $0[0] })
            }
            let left = max(limit - start.duration(to: .now), .milliseconds(1))
            _ = send(RedisCommands(script.evaluationBySource(input)), within: left) { completion($0.map { $0[0] }) }
        }
    }
}

extension RedisReply {
    /// Whether the node has not run a script, because it does not know it.
    package var isUnknownScript: Bool { error?.code == "NOSCRIPT" }
}
