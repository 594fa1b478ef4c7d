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
    private var nextFullScan: ContinuousClock.Instant?

    package init() {}

    /// The floor for a look at `now`.
    package mutating func next(at now: ContinuousClock.Instant) -> PostgresTimestamp {
        if nextFullScan.map({ now >= $0 }) ?? true {
            nextFullScan = now.advanced(by: Self.fullScanInterval)
            return .negativeInfinity
        }
        return floor
    }

    /// Takes in since when the jobs were due that a look found.
    package mutating func joined(_ dueTimes: [PostgresTimestamp]) {
        if let oldest = dueTimes.min() { floor = oldest.advanced(by: .zero - Self.margin) }
    }
}
