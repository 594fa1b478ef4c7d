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
    /// - Returns: The reply, an error reply too; ``RedisError`` when there is none.
    package func evaluate(
        _ script: RedisScript,
        keys: [String],
        arguments: [any RedisArgument] = [],
        within limit: Duration
    ) async -> Result<RedisReply, RedisError> {
        await withCheckedContinuation { continuation in
            evaluate(script, keys, arguments, within: limit) { continuation.resume(returning: $0) }
        }
    }

    // Not inlined, or its temporaries would stay in the memory of each task that has sent a script.
    @inline(never)
    private func evaluate(
        _ script: RedisScript,
        _ keys: [String],
        _ arguments: [any RedisArgument],
        within limit: Duration,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        let start = ContinuousClock.now
        let input = RedisScript.Input(keys: keys, arguments: arguments)
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
