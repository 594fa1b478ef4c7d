/// A lock that was acquired, on one key or on several.
///
/// No guarded work runs after ``validUntil``, on the holder's own monotonic clock. A hold is a value: an extension makes a
/// new one, which is valid for longer.
public struct Hold: Sendable {
    struct Contents: Sendable {
        let keys: [LockKey]
        let token: String
        let ttl: Duration
        let acquiredAt: ContinuousClock.Instant
        /// What the locks are called on the nodes, in the keys' order.
        let names: [String]
        var fence: Fence?
        var validUntil: ContinuousClock.Instant
        var votes: [Vote]
        /// One for each node, in the nodes' order.
        var clocks: [ClockCheck]
    }

    /// On the heap: copies of a hold are in the frames of all that waits under it.
    private final class Storage: Sendable {
        let contents: Contents

        init(_ contents: Contents) { self.contents = contents }
    }

    private let storage: Storage

    init(_ contents: Contents) { storage = Storage(contents) }

    var contents: Contents { storage.contents }

    /// What it is on, in order; at least one.
    public var keys: [LockKey] { storage.contents.keys }
    /// What is stored under each lock on the nodes; new for each try.
    public var token: String { storage.contents.token }
    /// The time to live that was sent to every node.
    public var ttl: Duration { storage.contents.ttl }
    /// Guards what is written under the hold; `nil` when the ``Redlock`` has no ``FenceSource``.
    public var fence: Fence? { storage.contents.fence }
    /// When the deciding vote was in.
    public var acquiredAt: ContinuousClock.Instant { storage.contents.acquiredAt }
    /// Until when it may be relied on.
    public var validUntil: ContinuousClock.Instant { storage.contents.validUntil }
    /// Each node's answer to the acquisition, or to the last extension, in the nodes' order.
    public var votes: [Vote] { storage.contents.votes }
    var names: [String] { storage.contents.names }
}
