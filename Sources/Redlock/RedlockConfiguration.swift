/// What a ``Redlock`` is made with.
public struct RedlockConfiguration: Sendable {
    /// Before the key in the lock's name; default `locks:`, which node-redlock's users have.
    ///
    /// All clients that are to exclude each other must use the same: pottery's is `redlock:`, and redlock-ng has none.
    public var prefix = "locks:"
    /// Time to live of a lock when none is given; default 20 s.
    public var ttl: Duration = .seconds(20)
    /// The longest time to live that any client of these nodes uses; default 60 s.
    ///
    /// A lock with a longer one is not asked for. A node that was restarted, and may have forgotten locks, has no vote
    /// for so long.
    public var longestTTL: Duration = .seconds(60)
    /// How long one node may take to answer; default 500 ms, and never more than a tenth of the TTL.
    public var nodeDeadline: Duration = .milliseconds(500)
    /// How long the others are waited for once enough nodes have answered; default 20 ms.
    public var stragglerGrace: Duration = .milliseconds(20)
    /// What clocks may differ by, as a part of the TTL; 2 ms are added.
    ///
    /// Default 0.01.
    public var driftFactor = 0.01
    /// How many more times a lock is tried for after the first; `nil`, the default, sets no limit.
    public var retryCount: Int?
    /// Wait before the next try; default 200 ms.
    public var retryDelay: Duration = .milliseconds(200)
    /// The most that chance adds to ``retryDelay``; default 200 ms.
    public var retryJitter: Duration = .milliseconds(200)

    /// The part of the interval by which chance may bring a hold's first extension forward.
    ///
    /// Holds that were acquired together are not extended together then.
    package var extensionSpread = 0.75
    /// How often a node that is in order is asked for a lock of nobody's, after the first time; default 5 s.
    ///
    /// Measurements have it asked once, or they would count that.
    package var probeInterval: Duration = .seconds(5)
    /// Tests switch it off to see what it is for.
    package var quarantinesRestartedNodes = true
    /// A number from 0 to 1, by chance; a simulation has it follow from its seed.
    package var chance: @Sendable () -> Double = { Double.random(in: 0...1) }

    /// The defaults.
    public init() {}

    /// The wait before the next try, chance included.
    package func nextRetryDelay() -> Duration {
        retryDelay + retryJitter * chance()
    }

    /// How often a hold is extended: each third of its TTL, so that two more tries are left when one fails.
    func extensionInterval(ttl: Duration) -> Duration { ttl / 3 }

    /// When a hold is first extended, after it was acquired.
    func firstExtension(ttl: Duration) -> Duration {
        let interval = extensionInterval(ttl: ttl)
        return interval - interval * (chance() * extensionSpread)
    }
}
