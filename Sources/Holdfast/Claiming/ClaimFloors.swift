package import Postgres

/// From when on a claim looks for ready lines, for each priority.
///
/// What lies before it was claimed long ago, and is dead; while a long transaction stops vacuum it stays in the index,
/// and a claim from the beginning would walk over it.
package struct ClaimFloors: Sendable {
    /// Lines may become visible somewhat after their `ready_at`.
    static let margin: Duration = .seconds(1)
    /// How often a claim looks from the beginning, for what became visible later than that.
    static let fullScanInterval: Duration = .seconds(5)

    /// Of the priorities 0 to 9.
    private(set) var floors = [PostgresTimestamp](repeating: .negativeInfinity, count: 10)
    /// Whether the last claim got nothing.
    private(set) var wasEmpty = false
    private var nextFullScan: ContinuousClock.Instant?

    package init() {}

    /// The floors for a claim at `now`.
    package mutating func next(at now: ContinuousClock.Instant) -> [PostgresTimestamp] {
        if nextFullScan.map({ now >= $0 }) ?? true {
            nextFullScan = now.advanced(by: Self.fullScanInterval)
            return floors.map { _ in .negativeInfinity }
        }
        return floors
    }

    /// Takes in what a claim got.
    ///
    /// - Parameter readyTimes: The `ready_at` of each line claimed, with its priority.
    package mutating func claimed(_ readyTimes: [(priority: Int, readyAt: PostgresTimestamp)]) {
        wasEmpty = readyTimes.isEmpty
        for priority in floors.indices {
            let oldest = readyTimes.lazy.filter { $0.priority == priority }.map(\.readyAt).min()
            if let oldest { floors[priority] = oldest.advanced(by: .zero - Self.margin) }
        }
    }
}
