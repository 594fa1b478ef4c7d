/// From which turn on a claim looks for ready lines, for each queue, kind and priority.
///
/// What lies below was claimed long ago, and is dead; while a long transaction stops vacuum it stays in the index, and a
/// claim from the beginning would walk over it. But a line may be below a turn that was claimed: it draws its turn before
/// it is visible, and a claim passes over one that somebody has locked at that moment. So most claims look back by a tenth
/// of a second, some by a second, and few at all there is.
package struct ClaimFloors: Sendable {
    /// How far most claims look back, in spans; and how far some do.
    private static let spans: (usual: Int, wide: Int) = (1, 10)
    /// The length of a span.
    static let span: Duration = .milliseconds(100)
    /// How often a claim looks a second back, and how often from the beginning.
    static let intervals: (wide: Duration, full: Duration) = (.milliseconds(250), .seconds(5))

    /// A place where a claim looks.
    package struct Place: Hashable, Sendable {
        package let queue: String
        package let kind: String
        package let priority: Int

        package init(queue: String, kind: String, priority: Int) {
            self.queue = queue
            self.kind = kind
            self.priority = priority
        }
    }

    /// One place where a claim looks, and from which turn on.
    package struct Look: Hashable, Sendable {
        package let queue: String
        package let kind: String
        package let priority: Int
        package let floor: Int64
    }

    /// What claims got within a tenth of a second.
    private struct Span {
        let start: ContinuousClock.Instant
        /// The lowest turn in each place where any was claimed.
        var lowest: [Place: Int64] = [:]
        /// The highest turn of all: so far the sequence had come by then.
        var highest: Int64 = .min
    }

    /// Oldest first: the last second.
    private var recent: [Span] = []
    /// What had been claimed before that: the lowest turn of the last claim that got any, and the highest.
    private var lowestBefore: [Place: Int64] = [:]
    private var highestBefore: Int64 = .min
    private var turn = 0
    private var wide = Pace(Self.intervals.wide)
    private var full = Pace(Self.intervals.full)

    package init() {}

    /// Where a claim at `now` looks, in that order: the best priority first, and in each another queue and kind first than
    /// the last time, or one with more than can be run would keep the others waiting.
    package mutating func next(
        _ queues: [String],
        kinds: [String],
        at now: ContinuousClock.Instant
    ) -> [Look] {
        forget(at: now)
        let (isFull, isWide) = (full.begins(at: now), wide.begins(at: now))
        let since = now.advanced(by: .zero - Self.span * (isWide ? Self.spans.wide : Self.spans.usual))
        let pairs = queues.flatMap { queue in kinds.map { (queue: queue, kind: $0) } }
        turn = (turn + 1) % max(pairs.count, 1)
        let inTurn = pairs[turn...] + pairs[..<turn]
        return (0...9).flatMap { priority in
            inTurn.map { queue, kind in
                let place = Place(queue: queue, kind: kind, priority: priority)
                let floor = isFull ? .min : floor(of: place, since: since)
                return Look(queue: queue, kind: kind, priority: priority, floor: floor)
            }
        }
    }

    /// Takes in what a claim got.
    ///
    /// - Parameters:
    ///   - turns: The turn of each line claimed, with its place.
    ///   - now: When the claim had ended: looks that take long are made less often.
    package mutating func claimed(_ turns: [(place: Place, turn: Int64)], at now: ContinuousClock.Instant) {
        full.ended(at: now)
        wide.ended(at: now)
        guard !turns.isEmpty else { return }
        if recent.last.map({ $0.start.duration(to: now) >= Self.span }) ?? true { recent.append(Span(start: now)) }
        let last = recent.count - 1
        for (place, turn) in turns {
            recent[last].lowest[place] = min(recent[last].lowest[place] ?? turn, turn)
            recent[last].highest = max(recent[last].highest, turn)
        }
    }

    /// No line that was visible `since` then, and not locked, has a lower turn.
    private func floor(of place: Place, since: ContinuousClock.Instant) -> Int64 {
        // The highest turn that had been drawn by then, as far as is known; and the lowest that was claimed since.
        var (reached, lowest) = (highestBefore, lowestBefore[place])
        var isRecent = false
        for span in recent {
            if span.start.advanced(by: Self.span) <= since {
                reached = max(reached, span.highest)
                lowest = span.lowest[place] ?? lowest
            } else if let turn = span.lowest[place] {
                lowest = isRecent ? min(lowest ?? turn, turn) : turn
                isRecent = true
            }
        }
        return min(lowest ?? .min, reached)
    }

    /// Puts what is older than a look back together.
    private mutating func forget(at now: ContinuousClock.Instant) {
        let end = now.advanced(by: .zero - Self.span * (Self.spans.wide + 1))
        while let oldest = recent.first, oldest.start < end {
            highestBefore = max(highestBefore, oldest.highest)
            lowestBefore.merge(oldest.lowest) { $1 }
            recent.removeFirst()
        }
    }
}
