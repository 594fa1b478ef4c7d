import Histogram
import Postgres

/// How long things took: from 1 µs to an hour, within 0.1 %.
struct Latencies: Sendable {
    private static let highest: UInt64 = 3_600_000_000
    private var histogram = Histogram<UInt64>(highestTrackableValue: highest, numberOfSignificantValueDigits: .three)

    init() {}

    /// Takes the first column of rows: microseconds.
    ///
    /// - Throws: ``BenchError`` when there is none, or what is wrong with a row.
    init(_ rows: Rows) throws {
        guard !rows.isEmpty else { throw BenchError(description: "nothing was measured") }
        for row in rows { record(microseconds: try row.decode(Int64.self, at: 0)) }
    }

    mutating func record(_ time: Duration) { record(microseconds: Int64(time.seconds * 1e6)) }

    mutating func record(microseconds: Int64) {
        _ = histogram.record(min(UInt64(max(microseconds, 0)), Self.highest))
    }

    var count: Int { Int(histogram.totalCount) }

    /// In ms.
    func percentile(_ percent: Double) -> Double { Double(histogram.valueAtPercentile(percent)) / 1000 }
}

extension Figure {
    /// The median of some latencies in ms, and beside it the 99th percentile as `p99`; of each run.
    init(_ workload: String, _ runs: [Latencies]) {
        self.init(workload, "ms, p50", runs.map { $0.percentile(50) })
        details = [("p99", Samples(runs.map { $0.percentile(99) }).median)]
    }
}
