extension RedisNode {
    /// Runs a script: by its hash, and by its source on a node that does not know it (restarted nodes forget scripts).
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: `KEYS` in the script.
    ///   - arguments: `ARGV` in the script.
    ///   - limit: How long the reply is waited for, from now, the second try included.
    ///   - isCancellable: Whether a caller that is cancelled stops waiting.
    /// - Returns: The reply; an error reply is one, too.
    /// - Throws: ``RedisError`` when there is no reply.
    package func evaluate(
        _ script: RedisScript,
        keys: [String],
        arguments: [any RedisArgument] = [],
        within limit: Duration,
        isCancellable: Bool = true
    ) async throws(RedisError) -> RedisReply {
        let start = ContinuousClock.now
        let input = RedisScript.Input(keys: keys, arguments: arguments)
        let reply = try await send(script.evaluationByHash(input), within: limit, isCancellable: isCancellable)
        guard reply.isUnknownScript else { return reply }
        let left = limit - start.duration(to: .now)
        return try await send(script.evaluationBySource(input), within: left, isCancellable: isCancellable)
    }

    /// Runs a script once for each input, all in one send.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - batch: What each run is given.
    ///   - limit: How long all the replies are waited for, from now, the second tries included.
    /// - Returns: One reply for each run, in the inputs' order; error replies are replies.
    /// - Throws: ``RedisError`` when one reply or more is missing.
    package func evaluate(
        _ script: RedisScript,
        batch: [RedisScript.Input],
        within limit: Duration
    ) async throws(RedisError) -> [RedisReply] {
        let start = ContinuousClock.now
        var replies = try await send(batch.map(script.evaluationByHash), within: limit)
        let unknown = replies.indices.filter { replies[$0].isUnknownScript }
        guard !unknown.isEmpty else { return replies }
        let again = unknown.map { script.evaluationBySource(batch[$0]) }
        let left = limit - start.duration(to: .now)
        for (index, reply) in zip(unknown, try await send(again, within: left)) { replies[index] = reply }
        return replies
    }
}

extension RedisReply {
    /// Whether the node has not run a script, because it does not know it.
    package var isUnknownScript: Bool { error?.code == "NOSCRIPT" }
}
