import Testing

/// What something on a job's path costs, as ``CostTable`` has it.
struct Cost: Sendable {
    let name: String
    /// What was measured when it was set.
    let figure: Double
    /// By what part of it the figure may be exceeded.
    let tolerance: Double

    init(_ name: String, _ figure: Double, _ tolerance: Double) {
        self.name = name
        self.figure = figure
        self.tolerance = tolerance
    }

    /// More is a failure.
    var limit: Double { figure * (1 + tolerance) }
}

extension [Cost] {
    /// Prints what was measured, as lines for the table, and compares it.
    ///
    /// What has become cheaper is a warning: until the table says so, it may become as dear again unseen.
    func check(_ measured: [(name: String, value: Double)], sourceLocation: SourceLocation = #_sourceLocation) {
        for (name, value) in measured {
            let tolerance = first { $0.name == name }?.tolerance ?? 0.15
            print("        Cost(\"\(name)\", \(value.short), \(tolerance)),")
        }
        let known = Set(map(\.name))
        for (name, value) in measured where !known.contains(name) {
            Issue.record(
                "\(name): \(value.short), and CostTable.swift has no figure for it: add the line that is printed",
                sourceLocation: sourceLocation
            )
        }
        for cost in self {
            guard let value = measured.first(where: { $0.name == cost.name })?.value else {
                Issue.record(
                    "\(cost.name) was not measured: take it out of CostTable.swift",
                    sourceLocation: sourceLocation
                )
                continue
            }
            let change = "\(value.short), and CostTable.swift says \(cost.figure.short) (at most \(cost.limit.short))"
            if value > cost.limit {
                Issue.record(
                    """
                    \(cost.name) has become dearer: \(change). Find what a job does now that it did not do; if that is \
                    worth it, put the line that is printed into CostTable.swift, and say why in the commit
                    """,
                    sourceLocation: sourceLocation
                )
            } else if value < cost.figure / (1 + cost.tolerance) {
                Issue.record(
                    "\(cost.name) has become cheaper: \(change). Put the line that is printed into CostTable.swift",
                    severity: .warning,
                    sourceLocation: sourceLocation
                )
            }
        }
    }
}

extension Double {
    /// With three digits that count, or all of a whole number.
    fileprivate var short: String {
        if self >= 100_000 { return "\(Int(rounded()) / 1000)_\(String(Int(rounded()) % 1000 + 1000).dropFirst())" }
        if self >= 100 || self == rounded() { return "\(Int(rounded()))" }
        let scale: Double = self >= 10 ? 10 : self >= 1 ? 100 : 1000
        return "\((self * scale).rounded() / scale)"
    }
}
