import Logging
import PlantedBugs
import Synchronization

extension Redlock {
    /// Runs `body` under a hold, which is extended until `body` returns.
    ///
    /// The hold is not released here. `body` is cancelled, and awaited, before the hold's validity ends, as soon as no
    /// quorum has the lock any more, and when it goes past `limit`; a body that ignores its cancellation outlives its
    /// hold.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now.
    ///   - limit: How long the body may take; `nil` sets no limit.
    ///   - onExtension: Told of every extension that had a quorum: the hold with its votes and its validity.
    ///   - body: The guarded work.
    /// - Returns: What `body` returns.
    /// - Throws: ``LockError`` with code `lost`, also when `body` returned after its time because the process had been
    ///   frozen, or `overrun`; else what `body` throws.
    package func keep<Value: Sendable>(
        _ hold: Hold,
        limit: Duration?,
        onExtension: @escaping @Sendable (Hold) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let validity = Validity(until: hold.validUntil)
        do {
            return try await withThrowingTaskGroup(of: Value.self) { group in
                group.addTask { try await body() }
                group.addTask { [self] in
                    let end = await extendUntilLost(hold, limit: limit, validity, onExtension)
                    if PlantedBug.noCancellation.isPlanted { try await clock.sleep(for: .seconds(86_400)) }
                    throw end
                }
                defer { group.cancelAll() }
                let value = try await group.next()!  // Two tasks were added.
                let margin = clock.now.duration(to: validity.until)
                guard margin > .zero else { throw LockError(.lost, keys: hold.keys, votes: hold.votes, margin: margin) }
                return value
            }
        } catch let error as LockError {
            count(error.code)
            throw error
        }
    }

    /// Extends a hold each third of its TTL, until it is lost, its limit is reached, or the task is cancelled.
    private func extendUntilLost(
        _ hold: consuming Hold,
        limit: Duration?,
        _ validity: Validity,
        _ onExtension: @Sendable (Hold) -> Void
    ) async -> any Error {
        // Time for the body to end in: a hundredth of the TTL, at least 10 ms.
        let margin = max(hold.ttl / 100, .milliseconds(10))
        let end = limit.map { hold.acquiredAt.advanced(by: $0) }
        var next = hold.acquiredAt.advanced(by: configuration.firstExtension(ttl: hold.ttl))
        while true {
            let lastMoment = hold.validUntil.advanced(by: .zero - margin)
            do {
                try await alarms.sleep(until: min(next, lastMoment, end ?? next))
            } catch {
                return error
            }
            let now = clock.now
            if let end, now >= end { return LockError(.overrun, keys: hold.keys, votes: hold.votes) }
            guard now < lastMoment else { return loss(of: hold, at: now) }
            // Nodes that don't answer must not delay the cancellation.
            switch await extend(&hold, within: now.duration(to: lastMoment)) {
            case .extended:
                validity.until = hold.validUntil
                next = clock.now.advanced(by: configuration.extensionInterval(ttl: hold.ttl))
                onExtension(hold)
            // The work has ended meanwhile.
            case .denied where Task.isCancelled, .gone where Task.isCancelled:
                return CancellationError()
            case .denied:
                logger.warning("Hold not extended", metadata: metadata(of: hold))
                next = clock.now.advanced(by: min(configuration.nextRetryDelay(), hold.ttl / 10))
            case .gone:
                return loss(of: hold, at: clock.now)
            }
        }
    }

    private func loss(of hold: Hold, at now: ContinuousClock.Instant) -> LockError {
        logger.warning("Hold lost", metadata: metadata(of: hold))
        return LockError(.lost, keys: hold.keys, votes: hold.votes, margin: now.duration(to: hold.validUntil))
    }

    private func metadata(of hold: Hold) -> Logger.Metadata {
        [
            "job.key": "\(hold.keys.map(\.text).joined(separator: ", "))",
            "lock.votes": "\(hold.votes.summary)",
        ]
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
