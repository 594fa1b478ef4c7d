package import Postgres

/// From when on a claim looks for ready lines, for each priority.
///
/// What lies before it was claimed long ago, and is dead; while a long transaction stops vacuum it stays in the index,
/// and a claim from the beginning would walk over it. Lines become visible somewhat after their `ready_at`: most claims
/// begin a little before the oldest line of the last one, some a second before, and few at the beginning.
package struct ClaimFloors: Sendable {
    /// How far before the oldest line of the last claim the next ones look.
    static let margins: (usual: Duration, wide: Duration) = (.milliseconds(100), .seconds(1))
    /// How often a claim looks a second back, and how often from the beginning.
    static let intervals: (wide: Duration, full: Duration) = (.milliseconds(250), .seconds(5))

    /// The oldest `ready_at` of the last claim, of the priorities 0 to 9.
    private var oldest = [PostgresTimestamp?](repeating: nil, count: 10)
    /// Whether the last claim got nothing.
    private(set) var wasEmpty = false
    private var wide = Pace(Self.intervals.wide)
    private var full = Pace(Self.intervals.full)

    package init() {}

    /// The floors for a claim at `now`.
    package mutating func next(at now: ContinuousClock.Instant) -> [PostgresTimestamp] {
        let (isFull, isWide) = (full.begins(at: now), wide.begins(at: now))
        let margin = isWide ? Self.margins.wide : Self.margins.usual
        return oldest.map { isFull ? .negativeInfinity : $0?.advanced(by: .zero - margin) ?? .negativeInfinity }
    }

    /// Takes in what a claim got.
    ///
    /// - Parameters:
    ///   - readyTimes: The `ready_at` of each line claimed, with its priority.
    ///   - now: When the claim had ended: looks that take long are made less often.
    package mutating func claimed(
        _ readyTimes: [(priority: Int, readyAt: PostgresTimestamp)],
        at now: ContinuousClock.Instant
    ) {
        full.ended(at: now)
        wide.ended(at: now)
        wasEmpty = readyTimes.isEmpty
        for priority in oldest.indices {
            let first = readyTimes.lazy.filter { $0.priority == priority }.map(\.readyAt).min()
            if let first { oldest[priority] = first }
        }
    }
}
