/// How long a job waits after an attempt that failed.
enum RetryBackoff {
    static let base: Duration = .seconds(1)
    static let cap: Duration = .seconds(300)

    /// `min(cap, base · 2ⁿ⁻¹)` times a factor between a half and one, so that jobs that fail together don't come back
    /// together.
    ///
    /// - Parameters:
    ///   - attempt: The one that failed, from 1.
    ///   - chance: A number from 0 to 1.
    /// - Returns: How long to wait.
    static func delay(afterAttempt attempt: Int, _ chance: Double) -> Duration {
        let exponential = base * (1 << min(attempt - 1, 16))
        return min(cap, exponential) * (0.5 + chance / 2)
    }
}
