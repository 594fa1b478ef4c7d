package import Postgres

/// From when on a claim looks for ready lines, for each queue and priority.
///
/// What lies before it was claimed long ago, and is dead; while a long transaction stops vacuum it stays in the index,
/// and a claim from the beginning would walk over it. Lines become visible somewhat after their `ready_at`: most claims
/// begin a little before the oldest line of the last one, some a second before, and few at the beginning.
package struct ClaimFloors: Sendable {
    /// How far before the oldest line of the last claim the next ones look.
    static let margins: (usual: Duration, wide: Duration) = (.milliseconds(100), .seconds(1))
    /// How often a claim looks a second back, and how often from the beginning.
    static let intervals: (wide: Duration, full: Duration) = (.milliseconds(250), .seconds(5))

    /// One place where a claim looks.
    package struct Look: Hashable, Sendable {
        package let queue: String
        package let priority: Int
        package let floor: PostgresTimestamp
    }

    /// The oldest `ready_at` of the last claim that found any there, by queue, of the priorities 0 to 9.
    private var oldest: [String: [PostgresTimestamp?]] = [:]
    private var turn = 0
    /// Whether the last claim got nothing.
    private(set) var wasEmpty = false
    private var wide = Pace(Self.intervals.wide)
    private var full = Pace(Self.intervals.full)

    package init() {}

    /// Where a claim at `now` looks, in that order: the best priority first, and in each another queue first than the last
    /// time, or one with more than can be run would keep the others waiting.
    package mutating func next(_ queues: [String], at now: ContinuousClock.Instant) -> [Look] {
        let (isFull, isWide) = (full.begins(at: now), wide.begins(at: now))
        let margin = isWide ? Self.margins.wide : Self.margins.usual
        turn = (turn + 1) % max(queues.count, 1)
        let inTurn = queues[turn...] + queues[..<turn]
        return (0...9).flatMap { priority in
            inTurn.map { queue in
                let floor = isFull ? nil : oldest[queue]?[priority]?.advanced(by: .zero - margin)
                return Look(queue: queue, priority: priority, floor: floor ?? .negativeInfinity)
            }
        }
    }

    /// Takes in what a claim got.
    ///
    /// - Parameters:
    ///   - readyTimes: The `ready_at` of each line claimed, with its queue and priority.
    ///   - now: When the claim had ended: looks that take long are made less often.
    package mutating func claimed(
        _ readyTimes: [(queue: String, priority: Int, readyAt: PostgresTimestamp)],
        at now: ContinuousClock.Instant
    ) {
        full.ended(at: now)
        wide.ended(at: now)
        wasEmpty = readyTimes.isEmpty
        var first: [String: [PostgresTimestamp?]] = [:]
        for (queue, priority, readyAt) in readyTimes {
            var times = first[queue] ?? Array(repeating: nil, count: 10)
            times[priority] = min(times[priority] ?? readyAt, readyAt)
            first[queue] = times
        }
        oldest.merge(first) { old, new in zip(old, new).map { $1 ?? $0 } }
    }
}
