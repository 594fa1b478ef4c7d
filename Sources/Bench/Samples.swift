/// What several runs of one measurement gave.
struct Samples: Sendable {
    private let sorted: [Double]

    /// - Parameter values: At least one.
    init(_ values: [Double]) { sorted = values.sorted() }

    var count: Int { sorted.count }
    var median: Double {
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
    var minimum: Double { sorted[0] }
    var maximum: Double { sorted[sorted.count - 1] }
}

extension Duration {
    /// In seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
