/// How long to wait after failures that follow one another: doubled for each, capped, and scattered.
struct Backoff: Sendable {
    var base = Duration.milliseconds(100)
    var cap = Duration.seconds(1)

    /// - Parameters:
    ///   - failures: How many there have been, at least 1.
    ///   - jitter: From 0 to 1, so that those who failed together do not come back together.
    /// - Returns: From half of `min(cap, base · 2ⁿ⁻¹)` to all of it.
    func delay(failures: Int, jitter: Double) -> Duration {
        min(cap, base * (1 << min(failures - 1, 20))) * (0.5 + jitter / 2)
    }
}
