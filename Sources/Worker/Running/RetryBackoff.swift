/// How long a job waits after an attempt that failed.
enum RetryBackoff {
    static let base: Duration = .seconds(1)
    static let cap: Duration = .seconds(300)

    /// `min(cap, base · 2ⁿ⁻¹)` times a factor between a half and one, so that jobs that fail together don't come back
    /// together.
    static func delay(afterAttempt attempt: Int) -> Duration {
        let exponential = base * (1 << min(attempt - 1, 16))
        return min(cap, exponential) * Double.random(in: 0.5...1)
    }
}
