/// A lock that was acquired, on one key or on several.
///
/// No guarded work runs after ``validUntil``, on the holder's own monotonic clock. A hold is a value: an extension makes a
/// new one, which is valid for longer.
public struct Hold: Sendable {
    /// What stays as it is; shared by all copies, of which each waiting task has one.
    private final class Grant: Sendable {
        let keys: [LockKey]
        let token: String
        let ttl: Duration
        let acquiredAt: ContinuousClock.Instant
        let names: [String]

        init(
            keys: [LockKey],
            token: String,
            ttl: Duration,
            acquiredAt: ContinuousClock.Instant,
            names: [String]
        ) {
            self.keys = keys
            self.token = token
            self.ttl = ttl
            self.acquiredAt = acquiredAt
            self.names = names
        }
    }

    private let grant: Grant
    /// Guards what is written under the hold; `nil` when the ``Redlock`` has no ``FenceSource``.
    public internal(set) var fence: Fence?
    /// Until when it may be relied on.
    public internal(set) var validUntil: ContinuousClock.Instant
    /// Each node's answer to the acquisition, or to the last extension, in the nodes' order.
    public internal(set) var votes: [Vote]
    /// One for each node, in the nodes' order.
    var clocks: [ClockCheck]

    init(
        keys: [LockKey],
        token: String,
        ttl: Duration,
        acquiredAt: ContinuousClock.Instant,
        validUntil: ContinuousClock.Instant,
        votes: [Vote],
        names: [String],
        clocks: [ClockCheck]
    ) {
        grant = Grant(keys: keys, token: token, ttl: ttl, acquiredAt: acquiredAt, names: names)
        self.validUntil = validUntil
        self.votes = votes
        self.clocks = clocks
    }

    /// What it is on, in order; at least one.
    public var keys: [LockKey] { grant.keys }
    /// What is stored under each lock on the nodes; new for each try.
    public var token: String { grant.token }
    /// The time to live that was sent to every node.
    public var ttl: Duration { grant.ttl }
    /// When the deciding vote was in.
    public var acquiredAt: ContinuousClock.Instant { grant.acquiredAt }
    /// What the locks are called on the nodes, in the keys' order.
    var names: [String] { grant.names }
}
