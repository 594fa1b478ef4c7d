import NIOCore

extension TimeAmount {
    /// The same time, kept within 0 and ten years: an instant that is added to never overflows.
    init(clamping duration: Duration) {
        let longest = Duration.seconds(10 * 365 * 86_400)
        self.init(min(max(duration, .zero), longest))
    }
}

extension Duration {
    /// For a message, as in `50 ms`.
    var milliseconds: String {
        let (seconds, attoseconds) = components
        return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000) ms"
    }
}
