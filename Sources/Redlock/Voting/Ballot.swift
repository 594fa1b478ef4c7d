/// A node's answer to one question, and when it came.
struct Ballot: Sendable {
    let verdict: Vote.Verdict
    /// From the question to the answer.
    let latency: Duration
    /// On the clock that measures validity.
    let answeredAt: ContinuousClock.Instant
    /// For an extension that was granted: the time to live that was left before it.
    let left: Duration?
}

extension [Ballot] {
    func count(_ verdict: Vote.Verdict) -> Int { count { $0.verdict == verdict } }
}
