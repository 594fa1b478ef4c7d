import Logging
import PlantedBugs

extension Redlock {
    /// Runs `body` under a hold, which is extended until `body` returns.
    ///
    /// The hold is not released here. `body` is cancelled, and awaited, before the hold's validity ends, as soon as no
    /// quorum has the lock any more, when it goes past `limit`, and when it is interrupted; a body that ignores its
    /// cancellation outlives its hold.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now.
    ///   - limit: How long the body may take; `nil` sets no limit.
    ///   - watch: A new one; the body may be interrupted by it.
    ///   - onExtension: Told of every extension that had a quorum: the hold with its votes and its validity.
    ///   - body: The guarded work.
    /// - Returns: What `body` returns.
    /// - Throws: ``LockError`` with code `lost`, also when `body` returned after its time because the process had been
    ///   frozen, or `overrun`; the error of an interruption that kept `body` from returning; else what `body` throws.
    package func keep<Value: Sendable>(
        _ hold: Hold,
        limit: Duration?,
        watch: Watch = Watch(),
        onExtension: (Hold) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await withThrowingTaskGroup(of: Value.self) { group in
                group.addTask {
                    defer { watch.end() }
                    return try await body()
                }
                var hold = hold
                let loss = await extend(&hold, until: watch, limit: limit, onExtension)
                if let loss, !PlantedBug.noCancellation.isPlanted { throw loss }
                if watch.interruption != nil { group.cancelAll() }
                let value: Value
                do {
                    value = try await group.next()!  // One task was added.
                } catch {
                    throw watch.interruption ?? error
                }
                try checkValidity(of: hold)
                return value
            }
        } catch {
            note(error)
            throw error
        }
    }

    /// Extends a hold each third of its TTL, until the watch is over or the task is cancelled.
    ///
    /// - Returns: Why the guarded work must end before that: the hold is lost, or its limit is reached.
    private func extend(
        _ hold: inout Hold,
        until watch: Watch,
        limit: Duration?,
        _ onExtension: (Hold) -> Void
    ) async -> LockError? {
        let end = limit.map { hold.acquiredAt.advanced(by: $0) }
        var next = firstExtension(of: hold)
        while true {
            let last = lastMoment(of: hold)
            await alarms.sleep(watch, until: min(next, last, end ?? next))
            // The body is cancelled with the task; what it does until it ends is guarded by its fence.
            if watch.isOver || Task.isCancelled { return nil }
            if let loss = loss(of: hold, end: end) { return loss }
            // Nodes that don't answer must not delay the cancellation.
            let result = await extend(&hold, within: clock.now.duration(to: last))
            if result == .extended {
                onExtension(hold)
            } else {
                // Nobody waits for the votes of a task that is cancelled.
                if Task.isCancelled { return nil }
                if result == .gone { return loss(of: hold) }
            }
            next = nextExtension(of: hold, after: result)
        }
    }

    // Not inlined, all of these: what they need for a moment would stay in the memory of each task that keeps a hold.

    @inline(never)
    private func firstExtension(of hold: Hold) -> ContinuousClock.Instant {
        hold.acquiredAt.advanced(by: configuration.firstExtension(ttl: hold.ttl))
    }

    @inline(never)
    private func nextExtension(of hold: Hold, after result: Extension) -> ContinuousClock.Instant {
        if result == .extended { return clock.now.advanced(by: configuration.extensionInterval(ttl: hold.ttl)) }
        warn("Hold not extended", hold)
        return clock.now.advanced(by: min(configuration.nextRetryDelay(), hold.ttl / 10))
    }

    /// When the body is cancelled, so that it has time to end in: a hundredth of the TTL, at least 10 ms.
    @inline(never)
    private func lastMoment(of hold: Hold) -> ContinuousClock.Instant {
        hold.validUntil.advanced(by: .zero - max(hold.ttl / 100, .milliseconds(10)))
    }

    /// - Returns: Why the body must end now, if it must.
    @inline(never)
    private func loss(of hold: Hold, end: ContinuousClock.Instant?) -> LockError? {
        let now = clock.now
        if let end, now >= end { return LockError(.overrun, keys: hold.keys, votes: hold.votes) }
        return now < lastMoment(of: hold) ? nil : loss(of: hold)
    }

    @inline(never)
    private func loss(of hold: Hold) -> LockError {
        warn("Hold lost", hold)
        return LockError(.lost, keys: hold.keys, votes: hold.votes, margin: clock.now.duration(to: hold.validUntil))
    }

    @inline(never)
    private func checkValidity(of hold: Hold) throws {
        let margin = clock.now.duration(to: hold.validUntil)
        guard margin > .zero else { throw LockError(.lost, keys: hold.keys, votes: hold.votes, margin: margin) }
    }

    @inline(never)
    private func note(_ error: any Error) {
        if let error = error as? LockError { count(error.code) }
    }

    @inline(never)
    private func warn(_ message: Logger.Message, _ hold: Hold) {
        logger.warning(
            message,
            metadata: [
                "job.key": "\(hold.keys.map(\.text).joined(separator: ", "))",
                "lock.votes": "\(hold.votes.summary)",
            ]
        )
    }
}
