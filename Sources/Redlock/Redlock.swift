import CoreMetrics
public import Logging
import PlantedBugs
import Redis

/// Locks on a quorum of independent Redis nodes.
///
/// ```swift
/// let redlock = try Redlock(nodes: ["redis://r1", "redis://r2", "redis://r3"])
/// try await redlock.whileConnected {
///     try await redlock.withLock(LockKey("invoice:42")) { hold in
///         // Nobody else is here. This task is cancelled before the lock could be another's.
///     }
/// }
/// ```
/// - Source: the Redlock algorithm, <https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>
public final class Redlock: Sendable {
    /// The most keys that one hold may be on.
    public static let maximumKeys = 64
    /// The shortest time to live of a lock: what is left of less could not be relied on.
    public static let shortestTTL: Duration = .milliseconds(10)

    package let nodes: [any LockNode]
    package let configuration: RedlockConfiguration
    let fences: (any FenceSource)?
    let clock: any MonotonicClock
    let logger: Logger
    let tokens = TokenSource()
    let alarms: Alarms
    private let poll: Poll
    let metrics: LockMetrics

    /// Makes a lock over nodes that are not connected yet: see ``whileConnected(_:)`` and ``run()``.
    ///
    /// - Parameters:
    ///   - nodes: URLs of one, or an odd number, of Redis nodes that share nothing, as in `redis://:password@host:6379`;
    ///     `rediss` is for TLS. The order is the votes' order.
    ///   - configuration: Names, deadlines, drift and retries; the same for all who are to exclude each other.
    ///   - fences: Draws a fence for each hold; `nil` draws none.
    ///   - logger: For what an operator should know.
    /// - Throws: ``NodeError`` when a URL names no node, or the nodes are not one or an odd number of different ones.
    public convenience init(
        nodes: [String],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        fences: (any FenceSource)? = nil,
        logger: Logger = Logger(label: "redlock")
    ) throws(NodeError) {
        guard nodes.count % 2 == 1 else {
            throw NodeError(description: "a lock needs one node, or an odd number of them, and is given \(nodes.count)")
        }
        var endpoints: [RedisEndpoint] = []
        for url in nodes {
            let endpoint = try NodeError.endpoint(url)
            guard !endpoints.contains(where: { $0.address == endpoint.address }) else {
                throw NodeError(description: "the node \(endpoint) is named twice; nodes must be independent")
            }
            endpoints.append(endpoint)
        }
        let roster = NodeRoster()
        self.init(
            nodes: endpoints.map { RedisLockNode($0, configuration: configuration, roster: roster, logger: logger) },
            configuration: configuration,
            fences: fences,
            logger: logger
        )
    }

    /// - Parameters:
    ///   - nodes: Nodes that share nothing, and have the same configuration.
    ///   - configuration: Names, deadlines, drift and retries.
    ///   - fences: Draws a fence for each hold of ``acquire(_:ttl:)-(LockKey,_)``.
    ///   - clock: Measures validity; tests pass one that they move.
    ///   - logger: For holds that cannot be extended.
    package init(
        nodes: [any LockNode],
        configuration: RedlockConfiguration = RedlockConfiguration(),
        fences: (any FenceSource)? = nil,
        clock: any MonotonicClock = ContinuousClock(),
        logger: Logger
    ) {
        precondition(!nodes.isEmpty, "a lock needs a node")
        self.nodes = nodes
        self.configuration = configuration
        self.fences = fences
        self.clock = clock
        self.logger = logger
        metrics = LockMetrics()
        alarms = Alarms(clock: clock)
        poll = Poll(nodes: nodes, grace: configuration.stragglerGrace, clock: clock)
    }

    /// What the nodes should be told otherwise, in words that name them.
    package var nodeWarnings: [String] {
        nodes.flatMap { node in node.warnings.map { "lock node \(node.name): \($0)" } }
    }

    /// By what the nodes are known, under whatever names, in order; empty while that is not known of one of them.
    package var nodeIdentities: [String] {
        let identities = nodes.compactMap(\.identity)
        return identities.count == nodes.count ? identities.sorted() : []
    }

    /// How many nodes must agree: N/2 + 1.
    public var quorum: Int { nodes.count / 2 + (PlantedBug.quorumOfHalf.isPlanted ? 0 : 1) }

    /// Whether enough nodes are connected, and may vote, for any lock to be had.
    public var hasQuorum: Bool { nodes.count(where: \.mayVote) >= quorum }

    /// The nodes that have no vote now, each with why: `r2:6379 (not connected: connection refused)`.
    public var nodesWithoutVote: [String] {
        nodes.compactMap { node in node.obstacle.map { "\(node.name) (\($0))" } }
    }

    /// Why no lock is to be had now, in words; `nil` when enough nodes vote.
    package var missingQuorum: String? {
        guard !hasQuorum else { return nil }
        return "too few lock nodes vote; these do not: " + nodesWithoutVote.joined(separator: ", ")
    }

    /// How long a hold may be relied on, once a quorum has voted for it.
    ///
    /// - Parameters:
    ///   - ttl: Time to live that was sent to every node.
    ///   - elapsed: From before the first node was asked until the deciding vote was in, on a monotonic clock.
    ///   - driftFactor: What clocks may differ by, as a part of `ttl`.
    /// - Returns: `ttl − elapsed − drift`, drift being that part of `ttl` plus 2 ms; `nil` when nothing is left.
    /// - Source: the Redlock algorithm, step 3, <https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>
    package static func validity(ttl: Duration, elapsed: Duration, driftFactor: Double = 0.01) -> Duration? {
        let drift = PlantedBug.noDrift.isPlanted ? .zero : ttl * driftFactor + .milliseconds(2)
        let left = ttl - (PlantedBug.noValidityCheck.isPlanted ? .zero : elapsed) - drift
        return left > .zero ? left : nil
    }

    /// Tries once for a lock.
    ///
    /// What was won in vain is released on every node before this returns.
    ///
    /// - Parameters:
    ///   - keys: What to lock, all or nothing; in order, and none twice.
    ///   - token: What is stored under each lock; never used before.
    ///   - ttl: Time to live of the locks.
    /// - Returns: The hold, or the votes that denied it.
    package func tryAcquire(_ keys: [LockKey], token: String, ttl: Duration) async -> Acquisition {
        precondition(
            ttl <= configuration.longestTTL,
            "a restarted node is kept out for the longest TTL, not for longer"
        )
        let start = clock.now
        let names = keys.map { configuration.prefix + $0.text }
        let question = LockQuestion(.acquire, names: names, token: token, ttl: ttl)
        return await acquisition(of: keys, question, await ask(question), since: start)
    }

    /// Gives a hold back, and tries once for another on the same keys, which each node is asked for together.
    ///
    /// - Parameters:
    ///   - hold: What is given back.
    ///   - token: What is stored under each lock; never used before.
    ///   - ttl: Time to live of the locks.
    /// - Returns: What ``release(_:)`` and ``tryAcquire(_:token:ttl:)-([LockKey],_,_)`` do.
    package func handOver(_ hold: Hold, token: String, ttl: Duration) async -> (votes: [Vote], next: Acquisition) {
        let start = clock.now
        let release = LockQuestion(.release, names: hold.names, token: hold.token, ttl: hold.ttl)
        let acquire = LockQuestion(.acquire, names: hold.names, token: token, ttl: ttl)
        let ballots = await poll.ask([release, acquire], within: deadline(ttl: ttl))
        return (votes(ballots[0]), await acquisition(of: hold.keys, acquire, ballots[1], since: start))
    }

    /// Tries once for a lock on one key.
    package func tryAcquire(_ key: LockKey, token: String, ttl: Duration) async -> Acquisition {
        await tryAcquire([key], token: token, ttl: ttl)
    }

    /// Gives a hold back on every node, for a cancelled caller too: what is left behind shuts others out for a whole TTL.
    ///
    /// A node that cannot be reached keeps the lock until its time to live ends.
    ///
    /// - Returns: Each node's answer, in the nodes' order; `held` where a lock was no longer ours.
    @discardableResult
    public func release(_ hold: Hold) async -> [Vote] {
        let question = LockQuestion(.release, names: hold.names, token: hold.token, ttl: hold.ttl)
        // A task of its own does not inherit cancellation; awaiting it here keeps it owned.
        let ballots = Task.isCancelled ? await Task { await ask(question) }.value : await ask(question)
        return votes(ballots)
    }

    /// Judges the votes on a try; what was won in vain is released on every node before this returns.
    private func acquisition(
        of keys: [LockKey],
        _ question: LockQuestion,
        _ ballots: [Ballot],
        since start: ContinuousClock.Instant
    ) async -> Acquisition {
        let now = clock.now
        let validity = validity(ttl: question.ttl, since: start, at: now)
        if ballots.count(.granted) >= quorum, let validity, !Task.isCancelled {
            metrics.granted(after: start.duration(to: now))
            return .granted(
                Hold(
                    Hold.Contents(
                        keys: keys,
                        token: question.token,
                        ttl: question.ttl,
                        acquiredAt: now,
                        names: question.names,
                        validUntil: now.advanced(by: validity),
                        votes: votes(ballots),
                        clocks: ballots.map { ballot in
                            ClockCheck(asked: start, answered: ballot.verdict == .granted ? ballot.answeredAt : nil)
                        }
                    )
                )
            )
        }
        await withdraw(question, ballots)
        // A cancelled try may have had every vote: then nobody else holds it.
        let isHeld =
            ballots.count(.held) > 0 && ballots.count(.granted) + ballots.count(.held) >= quorum && validity != nil
        (isHeld ? metrics.held : metrics.noQuorum).increment()
        return isHeld ? .held(votes(ballots)) : .noQuorum(votes(ballots))
    }

    func ask(_ question: LockQuestion, within limit: Duration? = nil) async -> [Ballot] {
        let deadline = deadline(ttl: question.ttl)
        return await poll.ask([question], within: min(limit ?? deadline, deadline))[0]
    }

    private func deadline(ttl: Duration) -> Duration { min(configuration.nodeDeadline, ttl / 10) }

    private func votes(_ ballots: [Ballot]) -> [Vote] {
        zip(nodes, ballots).map { Vote(node: $0.name, verdict: $1.verdict, latency: $1.latency) }
    }

    /// Gives back what was won in vain, for a cancelled caller too.
    private func withdraw(_ question: LockQuestion, _ ballots: [Ballot]) async {
        // A node that found another's token does not have ours; any other may have it.
        let suspects = nodes.indices.filter { ballots[$0].verdict != .held }
        guard !suspects.isEmpty else { return }
        let release = LockQuestion(.release, names: question.names, token: question.token, ttl: question.ttl)
        await poll.askAll(suspects, release, within: deadline(ttl: question.ttl))
    }

    func validity(
        ttl: Duration,
        since start: ContinuousClock.Instant,
        at now: ContinuousClock.Instant
    ) -> Duration? {
        Self.validity(ttl: ttl, elapsed: start.duration(to: now), driftFactor: configuration.driftFactor)
    }
}
