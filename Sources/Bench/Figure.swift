/// What a workload gave, beside the limit of this machine in the same run.
struct Figure: Sendable {
    let workload: String
    let unit: String
    let samples: Samples
    /// What the same work could be at most here; `nil` when there is no such thing.
    var ceiling: Samples?
    /// Whatever else belongs to it, in order.
    var details: [(name: String, value: Double)] = []

    var ratio: Double? { ceiling.map { samples.median / $0.median } }

    static let header = "workload".padded(28) + "median (min … max)".padded(40) + "ceiling".padded(12) + "ratio"

    /// A line of a table.
    var row: String {
        let figures = [samples.median, samples.minimum, samples.maximum].map(\.inTable)
        let text = "\(figures[0]) (\(figures[1]) … \(figures[2])) \(unit)"
        let limit = (ceiling?.median.inTable ?? "").padded(12) + (ratio?.short ?? "").padded(7)
        let others = details.map { "\($0.name) \($0.value.inTable)" }.joined(separator: ", ")
        return workload.padded(28) + text.padded(40) + limit + others
    }

    /// A line of its own, for programs.
    var json: String {
        var fields: [(String, String)] = [
            ("workload", "\"\(workload)\""), ("unit", "\"\(unit)\""), ("median", "\(samples.median)"),
            ("min", "\(samples.minimum)"), ("max", "\(samples.maximum)"), ("runs", "\(samples.count)"),
        ]
        if let ceiling, let ratio { fields += [("ceiling", "\(ceiling.median)"), ("ratio", "\(ratio)")] }
        fields += details.map { ($0.name, "\($0.value)") }
        return "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }
}

extension Double {
    /// With two digits after the point.
    var short: String { String((self * 100).rounded() / 100) }

    /// Without a point where that says nothing.
    fileprivate var inTable: String { abs(self) >= 100 ? String(Int(rounded())) : short }
}
