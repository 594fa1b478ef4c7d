/// A lock that was acquired.
///
/// No guarded work runs after ``validUntil``, unless an extension has moved it on, on the holder's own monotonic clock.
public struct Hold: Sendable {
    /// What it is on.
    public let key: LockKey
    /// What is stored under the lock on the nodes; new for each try.
    public let token: String
    /// The time to live that was sent to every node.
    public let ttl: Duration
    /// When the deciding vote was in.
    public let acquiredAt: ContinuousClock.Instant
    /// Until when the acquisition, with no extension, may be relied on.
    public let validUntil: ContinuousClock.Instant
    /// Each node's answer, in the nodes' order.
    public let votes: [Vote]
}
