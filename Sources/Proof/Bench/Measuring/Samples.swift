/// What several runs of one measurement gave.
package struct Samples: Sendable {
    private let sorted: [Double]

    /// - Parameter values: At least one.
    package init(_ values: [Double]) {
        precondition(!values.isEmpty, "a measurement without a run")
        sorted = values.sorted()
    }

    package var count: Int { sorted.count }
    package var median: Double {
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
    package var minimum: Double { sorted[0] }
    package var maximum: Double { sorted[sorted.count - 1] }
}

extension Duration {
    /// In seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
