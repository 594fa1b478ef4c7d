/// What a ``Redlock`` is made with.
public struct RedlockConfiguration: Sendable {
    /// Before the key in the lock's name; default `locks:`, which node-redlock's users have.
    public var prefix = "locks:"
    /// How long one node may take to answer; default 500 ms, and never more than a tenth of the TTL.
    public var nodeDeadline: Duration = .milliseconds(500)
    /// How long the others are waited for once enough nodes have answered; default 20 ms.
    public var stragglerGrace: Duration = .milliseconds(20)
    /// What clocks may differ by, as a part of the TTL; 2 ms are added.
    ///
    /// Default 0.01.
    public var driftFactor = 0.01
    /// Wait before the next try for a lock that another holds; default 200 ms.
    public var retryDelay: Duration = .milliseconds(200)
    /// The most that chance adds to ``retryDelay``; default 200 ms.
    public var retryJitter: Duration = .milliseconds(200)

    /// The defaults.
    public init() {}

    /// The wait before the next try, chance included.
    package func nextRetryDelay() -> Duration {
        retryDelay + retryJitter * Double.random(in: 0...1)
    }
}
