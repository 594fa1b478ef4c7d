import Redlock
import Synchronization

/// How long lines wait whose jobs could not be run through no fault of theirs, and what of that is told.
final class Outages: Sendable {
    fileprivate struct Line {
        var count: Int
        var endsAt: ContinuousClock.Instant
    }

    fileprivate struct Reason {
        var toldAt: ContinuousClock.Instant
        var untold = 0
    }

    fileprivate struct State {
        /// By the hash of the key: two keys that share one wait somewhat longer.
        var lines: [Int: Line] = [:]
        var reasons: [String: Reason] = [:]
    }

    static let base: Duration = .seconds(1)
    static let cap: Duration = .seconds(60)
    private static let interval: Duration = .seconds(60)
    /// What is remembered; beyond, all begins anew.
    private static let limits = (lines: 100_000, reasons: 100)

    private let state = Mutex(State())

    /// Takes in that an attempt was put off.
    ///
    /// - Parameters:
    ///   - key: Of its line.
    ///   - reason: Why.
    ///   - chance: A number from 0 to 1.
    ///   - now: The time.
    /// - Returns: How long the line is to wait: 1 s doubling to 60 s with each outage that follows the last, times a factor
    ///   of a half to one. And of how many attempts that were put off for this reason it is to be told: once a minute;
    ///   `nil` when it has been.
    func putOff(
        _ key: LockKey,
        _ reason: String,
        _ chance: Double,
        at now: ContinuousClock.Instant
    ) -> (delay: Duration, told: Int?) {
        state.withLock { state in
            let hash = key.hashValue
            if state.lines.count >= Self.limits.lines { state.lines = [:] }
            var count = 0
            // A line that had a while without an outage begins anew.
            if let line = state.lines[hash], line.endsAt.duration(to: now) < Self.cap { count = line.count }
            let delay = min(Self.cap, Self.base * (1 << min(count, 16))) * (0.5 + chance / 2)
            state.lines[hash] = Line(count: count + 1, endsAt: now.advanced(by: delay))
            return (delay, state.tell(reason, at: now, each: Self.interval, limit: Self.limits.reasons))
        }
    }

    /// Takes in that a job of a line has run.
    func ended(_ key: LockKey) {
        state.withLock { state in
            guard !state.lines.isEmpty else { return }
            state.lines[key.hashValue] = nil
        }
    }
}

extension Outages.State {
    fileprivate mutating func tell(
        _ text: String,
        at now: ContinuousClock.Instant,
        each interval: Duration,
        limit: Int
    ) -> Int? {
        guard var reason = reasons[text] else {
            if reasons.count >= limit { reasons = [:] }
            reasons[text] = Outages.Reason(toldAt: now)
            return 1
        }
        reason.untold += 1
        let isDue = reason.toldAt.duration(to: now) >= interval
        reasons[text] = isDue ? Outages.Reason(toldAt: now) : reason
        return isDue ? reason.untold : nil
    }
}
