import CoreMetrics
import Synchronization

/// A histogram with fixed bounds; times are kept in seconds.
final class HistogramHandler: RecorderHandler, TimerHandler {
    struct Values: Sendable {
        /// How many were at most each bound and above the one before; the last is what was above all.
        var counts: [UInt64]
        var sum = 0.0
    }

    let bounds: [Double]
    private let state: Mutex<Values>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Values(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    var values: Values { state.withLock { $0 } }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { values in
            values.counts[index] += 1
            values.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}
