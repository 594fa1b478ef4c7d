import Logging

extension Redlock {
    /// Runs `body` under a hold, which is extended until `body` returns.
    ///
    /// The hold is not released here. `body` is cancelled, and awaited, before the hold's validity ends and when it goes
    /// past `limit`; a body that ignores its cancellation outlives its hold.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now.
    ///   - limit: How long the body may take; `nil` sets no limit.
    ///   - onExtension: Told each node's answer after every extension that had a quorum.
    ///   - body: The guarded work.
    /// - Returns: What `body` returns.
    /// - Throws: ``LockError`` with code `lost` or `overrun`; else what `body` throws.
    package func keep<Value: Sendable>(
        _ hold: Hold,
        limit: Duration?,
        onExtension: @escaping @Sendable ([Vote]) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask { try await extendUntilLost(hold, limit: limit, onExtension) }
            defer { group.cancelAll() }
            return try await group.next()!  // Two tasks were added.
        }
    }

    /// Extends a hold each third of its TTL, until it is lost, its limit is reached, or the task is cancelled.
    private func extendUntilLost<Value>(
        _ hold: Hold,
        limit: Duration?,
        _ onExtension: @Sendable ([Vote]) -> Void
    ) async throws -> Value {
        // Time for the body to end in: a hundredth of the TTL, at least 10 ms.
        let margin = max(hold.ttl / 100, .milliseconds(10))
        let end = limit.map { hold.acquiredAt.advanced(by: $0) }
        var validUntil = hold.validUntil
        var next = hold.acquiredAt.advanced(by: hold.ttl / 3)
        var votes = hold.votes
        while true {
            let lastMoment = validUntil.advanced(by: .zero - margin)
            try await clock.sleep(until: min(next, lastMoment, end ?? next), tolerance: nil)
            let now = clock.now
            if let end, now >= end { throw LockError(.overrun, key: hold.key, votes: votes) }
            if now >= lastMoment {
                throw LockError(.lost, key: hold.key, votes: votes, margin: now.duration(to: validUntil))
            }
            // Nodes that don't answer must not delay the cancellation.
            let answer = await extend(hold, within: now.duration(to: lastMoment))
            votes = answer.votes
            if let extended = answer.validUntil {
                validUntil = extended
                next = clock.now.advanced(by: hold.ttl / 3)
                onExtension(votes)
            } else {
                logger.warning(
                    "Hold not extended",
                    metadata: ["job.key": "\(hold.key)", "lock.votes": "\(votes.summary)"]
                )
                next = clock.now.advanced(by: min(configuration.nextRetryDelay(), hold.ttl / 10))
            }
        }
    }
}
