/// Whether one node's clock runs like ours, by what it says of the time to live that one hold has left on it.
///
/// Redis lets keys expire by the wall clock of its machine. When that steps forward, a lock ends early, and its holder's
/// validity does not tell.
struct ClockCheck: Sendable, Equatable {
    /// The time to live was set after this moment.
    private var setAfter: ContinuousClock.Instant
    /// It was set before this one; `nil` when the node's answer was not had.
    private var setBefore: ContinuousClock.Instant?
    /// Whether the node has disagreed: it has no vote on this hold any more.
    private(set) var hasStepped = false

    /// Begins with the answer to the acquisition.
    ///
    /// - Parameters:
    ///   - asked: When it was asked for.
    ///   - answered: When the node's answer came; `nil` when it was late, and may yet take effect.
    init(asked: ContinuousClock.Instant, answered: ContinuousClock.Instant?) {
        setAfter = asked
        setBefore = answered
    }

    /// Notes an extension that the node did not answer: it may have taken effect, or not.
    mutating func unanswered() { setBefore = nil }

    /// Compares what was left of the time to live with the time that has passed here.
    ///
    /// - Parameters:
    ///   - left: What the node says was left before it set the time to live anew.
    ///   - ttl: What it was set to before, and is set to now.
    ///   - asked: When the extension was asked for.
    ///   - answered: When the answer came.
    ///   - driftFactor: What clocks may differ by, as a part of the time that has passed; 5 ms are added.
    mutating func extended(
        left: Duration,
        ttl: Duration,
        asked: ContinuousClock.Instant,
        answered: ContinuousClock.Instant,
        driftFactor: Double
    ) {
        let longest = setAfter.duration(to: answered)
        let shortest = setBefore.map { max(.zero, $0.duration(to: asked)) } ?? .zero
        let tolerance = longest * driftFactor + .milliseconds(5)
        if left < ttl - longest - tolerance || left > ttl - shortest + tolerance { hasStepped = true }
        setAfter = asked
        setBefore = answered
    }
}
