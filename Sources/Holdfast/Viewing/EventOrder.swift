/// Lets events out in the order of their numbers, although those commit in another.
///
/// A missing number is one that is not committed yet, or never will be. It is waited for until no transaction runs that
/// could have drawn it.
package struct EventOrder: ~Copyable {
    /// The database's transactions, read before the events.
    package struct Snapshot: Sendable {
        /// The oldest that runs.
        package let oldest: Int64
        /// The first that has not begun.
        package let next: Int64

        package init(oldest: Int64, next: Int64) {
            self.oldest = oldest
            self.next = next
        }
    }

    /// The least time for a missing number: a transaction draws one a moment before it has a number itself.
    private static let leastWait: Duration = .milliseconds(500)
    /// The most: something else in the database may run for hours.
    private static let mostWait: Duration = .seconds(30)

    /// The number of the last event that was let out.
    package private(set) var position: Int64
    private var gap: (upTo: Int64, next: Int64?, since: ContinuousClock.Instant)?

    package init(after position: Int64) { self.position = position }

    /// Looks at the events after ``position``.
    ///
    /// - Parameters:
    ///   - ids: Their numbers, rising.
    ///   - snapshot: Read before they were.
    ///   - now: The moment of the look.
    /// - Returns: How many of them to let out, from the first.
    package mutating func letOut(_ ids: [Int64], _ snapshot: Snapshot, now: ContinuousClock.Instant) -> Int {
        // Whoever could have drawn a missing number had begun by the first snapshot after it was missed.
        if gap != nil, gap?.next == nil { gap?.next = snapshot.next }
        var settled = position
        if let gap, let next = gap.next {
            let waited = gap.since.duration(to: now)
            if (snapshot.oldest >= next && waited >= Self.leastWait) || waited >= Self.mostWait { settled = gap.upTo }
        }
        var count = 0
        for id in ids {
            guard id == position + 1 || id <= settled else { break }
            position = id
            count += 1
        }
        if let last = ids.last, count < ids.count {
            if gap.map({ $0.upTo <= position }) ?? true { gap = (last, nil, now) }
        } else {
            gap = nil
        }
        return count
    }
}
