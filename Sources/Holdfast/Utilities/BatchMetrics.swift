package import CoreMetrics

/// What is counted about commits that many share.
struct BatchMetrics: Sendable {
    private let size: Recorder
    private let time: Timer

    /// - Parameter name: What is committed, one of a few words.
    init(_ name: String) {
        size = Recorder(label: "holdfast_batch_size", dimensions: [("batch", name)])
        time = Timer(label: "holdfast_batch_seconds", dimensions: [("batch", name)], preferredDisplayUnit: .seconds)
    }

    /// Measures one, whether or not it succeeds.
    func measuring<Value: Sendable>(_ count: Int, _ body: () async throws -> Value) async throws -> Value {
        let start = ContinuousClock.now
        size.record(count)
        defer { time.record(start.duration(to: .now)) }
        return try await body()
    }
}

extension Timer {
    /// Takes in a time.
    package func record(_ time: Duration) { recordNanoseconds(Int64(time / .nanoseconds(1))) }
}
