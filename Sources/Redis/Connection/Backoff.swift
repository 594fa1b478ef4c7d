/// The pauses between attempts to connect: `min(cap, base · 2ⁿ)`, times a random factor of 0.5 up to 1.
package struct Backoff: Sendable {
    private let base: Duration
    private let cap: Duration
    private var failures = 0

    /// Makes a row of pauses.
    package init(base: Duration, cap: Duration) {
        self.base = base
        self.cap = cap
    }

    /// Gives the next pause.
    ///
    /// Nodes lost together are not sought in step.
    package mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        // 2²⁰ bases are past any cap, and a shift further would overflow one day.
        let pause = min(cap, base * (1 << min(failures, 20)))
        failures += 1
        return pause * Double.random(in: 0.5...1, using: &random)
    }

    /// Begins again with the shortest pause.
    package mutating func reset() {
        failures = 0
    }
}
