/// When a look that may take long is due again: after an interval, and so that it takes no more than a fiftieth of the time.
struct Pace: Sendable {
    private static let restPerEffort = 50

    let interval: Duration
    private var begun: ContinuousClock.Instant?
    private var next: ContinuousClock.Instant?

    init(_ interval: Duration) { self.interval = interval }

    /// Whether to look at `now`; when it is, the look has begun.
    mutating func begins(at now: ContinuousClock.Instant) -> Bool {
        begun = nil
        guard next.map({ now >= $0 }) ?? true else { return false }
        begun = now
        next = now.advanced(by: interval)
        return true
    }

    /// Says that what was begun has ended, if anything was.
    mutating func ended(at now: ContinuousClock.Instant) {
        guard let start = begun else { return }
        begun = nil
        next = start.advanced(by: max(interval, start.duration(to: now) * Self.restPerEffort))
    }
}
