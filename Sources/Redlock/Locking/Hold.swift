/// A lock that was acquired, on one key or on several.
///
/// No guarded work runs after ``validUntil``, on the holder's own monotonic clock. A hold is a value: an extension makes a
/// new one, which is valid for longer.
public struct Hold: Sendable {
    /// What it is on, in order; at least one.
    public let keys: [LockKey]
    /// What is stored under each lock on the nodes; new for each try.
    public let token: String
    /// The time to live that was sent to every node.
    public let ttl: Duration
    /// Guards what is written under the hold; `nil` when the ``Redlock`` has no ``FenceSource``.
    public internal(set) var fence: Fence?
    /// When the deciding vote was in.
    public let acquiredAt: ContinuousClock.Instant
    /// Until when it may be relied on.
    public internal(set) var validUntil: ContinuousClock.Instant
    /// Each node's answer to the acquisition, or to the last extension, in the nodes' order.
    public internal(set) var votes: [Vote]

    /// What the locks are called on the nodes, in the keys' order.
    let names: [String]
    /// One for each node, in the nodes' order.
    var clocks: [ClockCheck]
}
