import Logging
import Synchronization

extension Redlock {
    /// Runs `body` under a hold, which is extended until `body` returns.
    ///
    /// The hold is not released here. `body` is cancelled, and awaited, before the hold's validity ends and when it goes
    /// past `limit`; a body that ignores its cancellation outlives its hold.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now.
    ///   - limit: How long the body may take; `nil` sets no limit.
    ///   - onExtension: Told each node's answer after every extension that had a quorum, and until when it is valid.
    ///   - body: The guarded work.
    /// - Returns: What `body` returns.
    /// - Throws: ``LockError`` with code `lost`, also when `body` returned after its time because the process had been
    ///   frozen, or `overrun`; else what `body` throws.
    package func keep<Value: Sendable>(
        _ hold: Hold,
        limit: Duration?,
        onExtension: @escaping @Sendable ([Vote], ContinuousClock.Instant) -> Void = { _, _ in },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let validity = Validity(until: hold.validUntil)
        return try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask { try await extendUntilLost(hold, limit: limit, validity, onExtension) }
            defer { group.cancelAll() }
            let value = try await group.next()!  // Two tasks were added.
            let margin = clock.now.duration(to: validity.until)
            guard margin > .zero else { throw LockError(.lost, key: hold.key, votes: hold.votes, margin: margin) }
            return value
        }
    }

    /// Extends a hold each third of its TTL, until it is lost, its limit is reached, or the task is cancelled.
    private func extendUntilLost<Value>(
        _ hold: Hold,
        limit: Duration?,
        _ validity: Validity,
        _ onExtension: @Sendable ([Vote], ContinuousClock.Instant) -> Void
    ) async throws -> Value {
        // Time for the body to end in: a hundredth of the TTL, at least 10 ms.
        let margin = max(hold.ttl / 100, .milliseconds(10))
        let end = limit.map { hold.acquiredAt.advanced(by: $0) }
        var next = hold.acquiredAt.advanced(by: hold.ttl / 3)
        var votes = hold.votes
        while true {
            let lastMoment = validity.until.advanced(by: .zero - margin)
            try await clock.sleep(until: min(next, lastMoment, end ?? next), tolerance: nil)
            let now = clock.now
            if let end, now >= end { throw LockError(.overrun, key: hold.key, votes: votes) }
            if now >= lastMoment {
                throw LockError(.lost, key: hold.key, votes: votes, margin: now.duration(to: validity.until))
            }
            // Nodes that don't answer must not delay the cancellation.
            let answer = await extend(hold, within: now.duration(to: lastMoment))
            votes = answer.votes
            if let extended = answer.validUntil {
                validity.until = extended
                next = clock.now.advanced(by: hold.ttl / 3)
                onExtension(votes, extended)
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

/// Until when a hold is valid, moved on by its extensions.
private final class Validity: Sendable {
    private let instant: Mutex<ContinuousClock.Instant>

    init(until instant: ContinuousClock.Instant) { self.instant = Mutex(instant) }

    var until: ContinuousClock.Instant {
        get { instant.withLock { $0 } }
        set { instant.withLock { $0 = newValue } }
    }
}
