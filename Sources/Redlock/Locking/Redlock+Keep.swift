import Logging
import PlantedBugs
import Synchronization

extension Redlock {
    /// Runs `body` under a hold, which is extended until `body` returns.
    ///
    /// The hold is not released here. `body` is cancelled, and awaited, before the hold's validity ends, as soon as no
    /// quorum has the lock any more, when it goes past `limit`, and when it is interrupted; a body that ignores its
    /// cancellation outlives its hold.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now.
    ///   - limit: How long the body may take from the hold's acquisition; `nil` sets no limit here, and the body may set one
    ///     by the watch.
    ///   - watch: A new one; the body may be interrupted by it.
    ///   - onExtension: Told of every extension that had a quorum: the hold with its votes and its validity.
    ///   - body: The guarded work.
    /// - Throws: ``LockError`` with code `lost`, also when `body` returned after its time because the process had been
    ///   frozen, or `overrun`; the error of an interruption that kept `body` from returning; else what `body` throws.
    package func keep(
        _ hold: Hold,
        limit: Duration?,
        watch: Watch = Watch(),
        onExtension: (Hold) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        do {
            let keeping = keeping(hold)
            if let limit { watch.setLimit(hold.acquiredAt.advanced(by: limit)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                add(body, to: &group, watch)
                let loss = await extend(keeping, until: watch, onExtension)
                if let loss, !PlantedBug.noCancellation.isPlanted { throw loss }
                if watch.interruption != nil { group.cancelAll() }
                do {
                    try await group.next()
                } catch {
                    throw watch.interruption ?? error
                }
                try checkValidity(of: keeping.hold)
            }
        } catch {
            note(error)
            throw error
        }
    }

    /// Runs a body that returns a value under a hold, which is extended until that returns.
    ///
    /// Apart from the other, which has less to keep in memory while it waits.
    package func keep<Value: Sendable>(
        _ hold: Hold,
        limit: Duration?,
        watch: Watch = Watch(),
        onExtension: (Hold) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let result = Returned<Value>()
        try await keep(hold, limit: limit, watch: watch, onExtension: onExtension) { () async throws -> Void in
            let value = try await body()
            result.value.withLock { $0 = value }
        }
        return result.value.withLock { $0! }  // It has returned, or thrown.
    }

    /// Extends a hold each third of its TTL, until the watch is over or the task is cancelled.
    ///
    /// Not inlined, nor what it calls: what they need for a moment would stay in the memory of each task that keeps a hold.
    ///
    /// - Returns: Why the guarded work must end before that: the hold is lost, or its limit is reached.
    @inline(never)
    private func extend(
        _ keeping: Keeping,
        until watch: Watch,
        _ onExtension: (Hold) -> Void
    ) async -> (any Error)? {
        while true {
            await alarms.sleep(watch, until: nextMoment(of: keeping))
            // The body is cancelled with the task; what it does until it ends is guarded by its fence.
            if watch.isOver || Task.isCancelled { return nil }
            if let loss = loss(of: keeping, watch) { return loss }
            if clock.now < keeping.next { continue }
            let result = await extend(keeping)
            if result == .extended {
                onExtension(keeping.hold)
            } else {
                // Nobody waits for the votes of a task that is cancelled.
                if Task.isCancelled { return nil }
                if result == .gone { return loss(of: keeping.hold) }
            }
            plan(keeping, after: result)
        }
    }

    private func extend(_ keeping: Keeping) async -> Extension {
        // Nodes that don't answer must not delay the cancellation.
        await extend(&keeping.hold, within: timeLeft(of: keeping.hold))
    }

    @inline(never)
    private func add(
        _ body: @escaping @Sendable () async throws -> Void,
        to group: inout ThrowingTaskGroup<Void, any Error>,
        _ watch: Watch
    ) {
        group.addTask {
            defer { watch.end() }
            try await body()
        }
    }

    @inline(never)
    private func keeping(_ hold: Hold) -> Keeping {
        Keeping(hold, next: hold.acquiredAt.advanced(by: configuration.firstExtension(ttl: hold.ttl)))
    }

    /// When there is something to be done for a hold.
    @inline(never)
    private func nextMoment(of keeping: Keeping) -> ContinuousClock.Instant {
        min(keeping.next, lastMoment(of: keeping.hold))
    }

    @inline(never)
    private func timeLeft(of hold: Hold) -> Duration { clock.now.duration(to: lastMoment(of: hold)) }

    @inline(never)
    private func plan(_ keeping: Keeping, after result: Extension) {
        if result == .extended {
            keeping.next = clock.now.advanced(by: configuration.extensionInterval(ttl: keeping.hold.ttl))
        } else {
            warn("Hold not extended", keeping.hold)
            keeping.next = clock.now.advanced(by: min(configuration.nextRetryDelay(), keeping.hold.ttl / 10))
        }
    }

    /// When the body is cancelled, so that it has time to end in: a hundredth of the TTL, at least 10 ms.
    @inline(never)
    private func lastMoment(of hold: Hold) -> ContinuousClock.Instant {
        hold.validUntil.advanced(by: .zero - max(hold.ttl / 100, .milliseconds(10)))
    }

    /// - Returns: Why the body must end now, if it must.
    @inline(never)
    private func loss(of keeping: Keeping, _ watch: Watch) -> (any Error)? {
        let now = clock.now
        let hold = keeping.hold
        if let limit = watch.limit, now >= limit { return LockError(.overrun, keys: hold.keys, votes: hold.votes) }
        return now < lastMoment(of: hold) ? nil : loss(of: hold)
    }

    @inline(never)
    private func loss(of hold: Hold) -> any Error {
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

/// A hold that is kept; on the heap, because it is in the frames of all that waits under it.
private final class Keeping {
    var hold: Hold
    /// When it is to be extended.
    var next: ContinuousClock.Instant

    init(_ hold: Hold, next: ContinuousClock.Instant) {
        self.hold = hold
        self.next = next
    }
}

/// What a body has returned.
private final class Returned<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
}
