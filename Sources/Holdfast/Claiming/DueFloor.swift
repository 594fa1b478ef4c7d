package import Postgres

/// From when on a look for what is due begins: for jobs that are to join their lines, or for lines that wait.
///
/// What lies before it has been let in, and is dead; see ``ClaimFloors``.
package struct DueFloor: Sendable {
    /// Something may become visible somewhat after it was due.
    static let margin: Duration = .seconds(10)
    /// How often a look begins from the beginning, for what became visible later than that, or was locked.
    static let fullScanInterval: Duration = .seconds(5)

    private var floor = PostgresTimestamp.negativeInfinity
    private var full = Pace(Self.fullScanInterval)

    package init() {}

    /// The floor for a look at `now`.
    package mutating func next(at now: ContinuousClock.Instant) -> PostgresTimestamp {
        full.begins(at: now) ? .negativeInfinity : floor
    }

    /// Takes in since when that was due which a look found, and when it had ended.
    package mutating func found(_ dueTimes: [PostgresTimestamp], at now: ContinuousClock.Instant) {
        full.ended(at: now)
        if let oldest = dueTimes.min() { floor = oldest.advanced(by: .zero - Self.margin) }
    }
}
