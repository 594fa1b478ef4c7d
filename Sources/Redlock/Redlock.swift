package import Logging

/// Locks on a quorum of independent nodes.
///
/// - Source: the Redlock algorithm, <https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>
public struct Redlock: Sendable {
    let nodes: [any LockNode]
    package let configuration: RedlockConfiguration
    let clock: any MonotonicClock
    let logger: Logger

    /// - Parameters:
    ///   - nodes: 1, or an odd number, of nodes that share nothing.
    ///   - configuration: Deadlines, drift and retries.
    ///   - clock: Measures validity; tests pass one that they move.
    ///   - logger: For holds that cannot be extended.
    package init(
        nodes: [any LockNode],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        clock: any MonotonicClock = ContinuousClock(),
        logger: Logger
    ) {
        precondition(!nodes.isEmpty, "a lock needs a node")
        self.nodes = nodes
        self.configuration = configuration
        self.clock = clock
        self.logger = logger
    }

    /// How many nodes must agree: N/2 + 1.
    package var quorum: Int { nodes.count / 2 + 1 }

    /// Whether enough nodes are connected for any lock to be had.
    package var hasQuorum: Bool { nodes.count(where: \.isConnected) >= quorum }

    /// How long a hold may be relied on, once a quorum has voted for it.
    ///
    /// - Parameters:
    ///   - ttl: Time to live that was sent to every node.
    ///   - elapsed: From before the first node was asked until the deciding vote was in, on a monotonic clock.
    ///   - driftFactor: What clocks may differ by, as a part of `ttl`.
    /// - Returns: `ttl − elapsed − drift`, drift being that part of `ttl` plus 2 ms; `nil` when nothing is left.
    /// - Source: the Redlock algorithm, step 3, <https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>
    package static func validity(ttl: Duration, elapsed: Duration, driftFactor: Double = 0.01) -> Duration? {
        let left = ttl - elapsed - (ttl * driftFactor + .milliseconds(2))
        return left > .zero ? left : nil
    }

    /// Tries once for a lock.
    ///
    /// What was won in vain is released on every node before this returns.
    ///
    /// - Parameters:
    ///   - key: What to lock.
    ///   - token: What is stored under the lock; never used before.
    ///   - ttl: Time to live of the lock.
    /// - Returns: The hold, or the votes that denied it.
    package func tryAcquire(_ key: LockKey, token: String, ttl: Duration) async -> Acquisition {
        let lock = name(of: key)
        let start = clock.now
        let deadline = nodeDeadline(ttl: ttl)
        let votes = await self.votes { await $0.acquire(lock, token: token, ttl: ttl, within: deadline) }
        let now = clock.now
        let validity = Self.validity(
            ttl: ttl,
            elapsed: start.duration(to: now),
            driftFactor: configuration.driftFactor
        )
        if votes.count(where: { $0.verdict == .granted }) >= quorum, let validity, !Task.isCancelled {
            return .granted(
                Hold(
                    key: key,
                    token: token,
                    ttl: ttl,
                    acquiredAt: now,
                    validUntil: now.advanced(by: validity),
                    votes: votes
                )
            )
        }
        await withdraw(lock, token: token, ttl: ttl, votes: votes)
        let open = votes.count(where: { $0.verdict == .granted || $0.verdict == .held })
        // A cancelled try may have had every vote: then nobody else holds it.
        let isHeld = votes.contains { $0.verdict == .held } && open >= quorum && validity != nil
        return isHeld ? .held(votes) : .noQuorum(votes)
    }

    /// Gives a hold back on every node, for a cancelled caller too: what is left behind shuts others out for a whole TTL.
    ///
    /// - Returns: Each node's answer, in the nodes' order; `held` where the lock was no longer ours.
    @discardableResult
    package func release(_ hold: Hold) async -> [Vote] {
        let lock = name(of: hold.key)
        let deadline = nodeDeadline(ttl: hold.ttl)
        // A task of its own does not inherit cancellation; awaiting it here keeps it owned.
        return await Task {
            await votes { await $0.release(lock, token: hold.token, within: deadline) }
        }.value
    }

    /// Asks all nodes to keep a hold for another TTL.
    ///
    /// - Parameters:
    ///   - hold: A hold that is valid now.
    ///   - deadline: How long to wait for any node, if that is less than the configured deadline.
    /// - Returns: Until when the hold is valid now, or `nil` without a quorum or validity; and each node's answer.
    package func extend(
        _ hold: Hold,
        within deadline: Duration
    ) async -> (validUntil: ContinuousClock.Instant?, votes: [Vote]) {
        let lock = name(of: hold.key)
        let start = clock.now
        let deadline = min(deadline, nodeDeadline(ttl: hold.ttl))
        let votes = await self.votes { await $0.extend(lock, token: hold.token, ttl: hold.ttl, within: deadline) }
        let now = clock.now
        let validity = Self.validity(
            ttl: hold.ttl,
            elapsed: start.duration(to: now),
            driftFactor: configuration.driftFactor
        )
        guard votes.count(where: { $0.verdict == .granted }) >= quorum, let validity else { return (nil, votes) }
        return (now.advanced(by: validity), votes)
    }

    private func name(of key: LockKey) -> String { configuration.prefix + key.text }

    private func nodeDeadline(ttl: Duration) -> Duration { min(configuration.nodeDeadline, ttl / 10) }

    private func withdraw(_ lock: String, token: String, ttl: Duration, votes: [Vote]) async {
        // A node that found another's token does not have ours; any other may have it.
        let suspects = zip(nodes, votes).filter { $1.verdict != .held }.map(\.0)
        guard !suspects.isEmpty else { return }
        let deadline = nodeDeadline(ttl: ttl)
        await Task {
            await withDiscardingTaskGroup { group in
                for node in suspects {
                    group.addTask { _ = await node.release(lock, token: token, within: deadline) }
                }
            }
        }.value
    }
}
