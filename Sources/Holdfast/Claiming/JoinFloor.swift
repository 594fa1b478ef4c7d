package import Postgres

/// From when on a look for jobs that are due begins.
///
/// What lies before it has joined its line, and is dead; see ``ClaimFloors``.
package struct JoinFloor: Sendable {
    /// A job may become visible somewhat after it was due.
    static let margin: Duration = .seconds(10)
    /// How often a look begins from the beginning, for what became visible later than that.
    static let fullScanInterval: Duration = .seconds(5)

    private var floor = PostgresTimestamp.negativeInfinity
    private var full = Pace(Self.fullScanInterval)

    package init() {}

    /// The floor for a look at `now`.
    package mutating func next(at now: ContinuousClock.Instant) -> PostgresTimestamp {
        full.begins(at: now) ? .negativeInfinity : floor
    }

    /// Takes in since when the jobs were due that a look found, and when it had ended.
    package mutating func joined(_ dueTimes: [PostgresTimestamp], at now: ContinuousClock.Instant) {
        full.ended(at: now)
        if let oldest = dueTimes.min() { floor = oldest.advanced(by: .zero - Self.margin) }
    }
}
