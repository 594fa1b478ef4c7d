import Logging

extension Redlock {
    /// Runs `body` while nobody else holds the lock on any of the keys.
    ///
    /// The hold is extended until `body` returns, and released then. `body` is cancelled, and awaited, before its hold
    /// could be another's; one that ignores its cancellation outlives its hold, and needs a fence.
    ///
    /// - Parameters:
    ///   - keys: 1 to ``maximumKeys`` keys, in any order: all are locked, or none.
    ///   - ttl: Time to live of the locks, ``shortestTTL`` to the configured longest; `nil` takes the configured one.
    ///   - limit: How long `body` may take (what it is expected to, and a grace); `nil` sets no limit.
    ///   - body: The guarded work; it is given the hold as it was acquired.
    /// - Returns: What `body` returns.
    /// - Throws: ``LockError``: `held` or `noQuorum` when there is no hold after the configured tries, `lost` or `overrun`
    ///   when `body` was cancelled, `invalid` when an argument is out of bounds; `CancellationError` when the caller was
    ///   cancelled while it waited; else what `body` or the fence source throws.
    public func withLock<Value: Sendable>(
        _ keys: [LockKey],
        ttl: Duration? = nil,
        limit: Duration? = nil,
        _ body: @escaping @Sendable (Hold) async throws -> Value
    ) async throws -> Value {
        let hold = try await acquire(keys, ttl: ttl)
        let result: Result<Value, any Error>
        do {
            result = .success(try await keep(hold, limit: limit) { try await body(hold) })
        } catch {
            result = .failure(error)
        }
        await release(hold)
        return try result.get()
    }

    /// Runs `body` while nobody else holds the lock on the key: ``withLock(_:ttl:limit:_:)-([LockKey],_,_,_)``.
    ///
    /// - Parameters:
    ///   - key: What to lock.
    ///   - ttl: Time to live of the lock; `nil` takes the configured one.
    ///   - limit: How long `body` may take; `nil` sets no limit.
    ///   - body: The guarded work; it is given the hold as it was acquired.
    /// - Returns: What `body` returns.
    /// - Throws: As for several keys.
    public func withLock<Value: Sendable>(
        _ key: LockKey,
        ttl: Duration? = nil,
        limit: Duration? = nil,
        _ body: @escaping @Sendable (Hold) async throws -> Value
    ) async throws -> Value {
        try await withLock([key], ttl: ttl, limit: limit, body)
    }

    /// Waits for a lock, and tries for it as often as the configuration says.
    ///
    /// Nobody extends the hold or releases it but the caller. A caller that is cancelled while it waits leaves nothing
    /// locked.
    ///
    /// - Parameters:
    ///   - keys: 1 to ``maximumKeys`` keys, in any order: all are locked, or none.
    ///   - ttl: Time to live of the locks, ``shortestTTL`` to the configured longest; `nil` takes the configured one.
    /// - Returns: A hold with validity left, and with a fence when there is a source.
    /// - Throws: ``LockError`` with code `held` or `noQuorum` after the last try, or `invalid`; `CancellationError`; what
    ///   the fence source throws.
    public func acquire(_ keys: [LockKey], ttl: Duration? = nil) async throws -> Hold {
        // In one order everywhere, so that of two who want the same keys one is first on most nodes.
        let keys = keys.count == 1 ? keys : Set(keys).sorted()
        let ttl = ttl ?? configuration.ttl
        try checkBounds(keys, ttl)
        var triesLeft = configuration.retryCount
        while true {
            try Task.checkCancellation()
            let error: LockError
            switch await tryAcquire(keys, token: tokens.next(), ttl: ttl) {
            case .granted(let hold):
                if let fenced = try await withFence(hold) { return fenced }
                error = LockError(.noQuorum, keys: keys, votes: hold.votes, detail: "the fence came too late")
            case .held(let votes): error = LockError(.held, keys: keys, votes: votes)
            case .noQuorum(let votes): error = LockError(.noQuorum, keys: keys, votes: votes)
            }
            if let left = triesLeft {
                guard left > 0 else { throw error }
                triesLeft = left - 1
            }
            logger.debug("Lock not acquired", metadata: ["error": "\(error)"])
            try await clock.sleep(until: clock.now.advanced(by: configuration.nextRetryDelay()), tolerance: nil)
        }
    }

    /// Waits for a lock on one key: ``acquire(_:ttl:)-([LockKey],_)``.
    public func acquire(_ key: LockKey, ttl: Duration? = nil) async throws -> Hold {
        try await acquire([key], ttl: ttl)
    }

    /// Keeps a hold for another TTL, counted from now.
    ///
    /// - Parameter hold: A hold that was not released.
    /// - Returns: The hold with its new validity and each node's answer; use this one from now on.
    /// - Throws: ``LockError`` with code `lost` when no quorum extends it: stop what it guards before its `validUntil`.
    public func extend(_ hold: Hold) async throws(LockError) -> Hold {
        var hold = hold
        let result = await extend(&hold, within: configuration.nodeDeadline)
        guard case .extended = result else {
            let margin = clock.now.duration(to: hold.validUntil)
            throw LockError(.lost, keys: hold.keys, votes: hold.votes, margin: margin)
        }
        return hold
    }

    /// Connects to the nodes, and connects again whenever a connection is lost, until the task is cancelled.
    ///
    /// Locks are to be had while it runs; in a service group, list it before what uses it. One call at a time.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for node in nodes { group.addTask { await node.run() } }
            group.addTask { [alarms] in await alarms.run() }
        }
    }

    /// Keeps the nodes connected while `body` runs, to its very end: what it gives back when it is cancelled is sent.
    public func whileConnected<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        // A task of its own does not inherit cancellation; it is ended and awaited here.
        let connections = Task { await run() }
        let result: Result<Value, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        connections.cancel()
        await connections.value
        return try result.get()
    }

    private func checkBounds(_ keys: [LockKey], _ ttl: Duration) throws(LockError) {
        guard (1...Self.maximumKeys).contains(keys.count) else {
            let detail = "keys: there must be 1 to \(Self.maximumKeys) of them, and there are \(keys.count)"
            throw LockError(.invalid, keys: keys, detail: detail)
        }
        guard ttl >= Self.shortestTTL, ttl <= configuration.longestTTL else {
            let detail = "ttl: must be from \(Self.shortestTTL) to \(configuration.longestTTL), and is \(ttl)"
            throw LockError(.invalid, keys: keys, detail: detail)
        }
    }

    /// Draws the hold's fence; `nil`, and the hold is given back, when that took all its validity.
    private func withFence(_ hold: Hold) async throws -> Hold? {
        guard let fences else { return hold }
        var fenced = hold.contents
        do {
            fenced.fence = try await fences.next()
        } catch {
            await release(hold)
            throw error
        }
        guard clock.now < hold.validUntil else {
            await release(hold)
            return nil
        }
        return Hold(fenced)
    }
}
