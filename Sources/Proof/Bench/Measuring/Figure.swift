import Foundation

/// What a workload gave, beside the limit of this machine in the same run.
package struct Figure: Sendable {
    package let workload: String
    package let unit: String
    package let samples: Samples
    /// What the same work could be at best here; `nil` when there is no such thing.
    package var ceiling: Samples?
    /// What it is to reach.
    package var aims: [Aim] = []
    /// Whatever else belongs to it, in order.
    package var details: [(name: String, value: Double)] = []

    /// - Parameters:
    ///   - workload: What was measured.
    ///   - unit: Of each value.
    ///   - values: One for each run, at least one.
    package init(_ workload: String, _ unit: String, _ values: [Double]) {
        self.workload = workload
        self.unit = unit
        samples = Samples(values)
    }

    /// The part of the ceiling that was reached; of a time, how many times the ceiling it is.
    package var ratio: Double? { ceiling.map { samples.median / $0.median } }

    /// Whether each aim is met; `nil` when there is none.
    package var isAimMet: Bool? { aims.isEmpty ? nil : aims.allSatisfy { $0.isMet(by: self) } }
}

// MARK: - How it is printed

extension Figure {
    package static let header =
        "workload".padded(28) + "median (min … max)".padded(40) + "ceiling".padded(10) + "ratio".padded(7)
        + "aim".padded(50) + "and"

    /// A line of a table.
    package var row: String {
        let figures = [samples.median, samples.minimum, samples.maximum].map(\.inTable)
        let text = "\(figures[0]) (\(figures[1]) … \(figures[2])) \(unit)"
        let limit = (ceiling?.median.inTable ?? "").padded(10) + (ratio?.short ?? "").padded(7)
        let verdict = isAimMet.map { "\(aimText) \($0 ? "met" : "MISSED")" } ?? ""
        let others = details.map { "\($0.name) \($0.value.inTable)" }.joined(separator: ", ")
        let row = workload.padded(28) + text.padded(40) + limit + verdict.padded(50) + others
        return String(row.reversed().drop { $0 == " " }.reversed())
    }

    /// A line of its own, for programs.
    package var json: String {
        var fields: [(String, String)] = [
            ("workload", "\"\(workload)\""), ("unit", "\"\(unit)\""), ("median", samples.median.inJSON),
            ("min", samples.minimum.inJSON), ("max", samples.maximum.inJSON), ("runs", "\(samples.count)"),
            ("ceiling", ceiling?.median.inJSON ?? "null"), ("ratio", ratio?.inJSON ?? "null"),
        ]
        if let isAimMet { fields += [("aim", "\"\(aimText)\""), ("met", "\(isAimMet)")] }
        fields += details.map { ($0.name, $0.value.inJSON) }
        return "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private var aimText: String { aims.map(\.text).joined(separator: ", ") }
}

extension Double {
    /// With two digits after the point.
    var short: String { String((self * 100).rounded() / 100) }

    /// Without a point where that says nothing.
    var inTable: String { isFinite && abs(self) >= 100 ? String(Int(rounded())) : short }

    /// JSON has no number that is none.
    fileprivate var inJSON: String { isFinite ? "\(self)" : "null" }
}

extension String {
    /// With blanks up to a width.
    func padded(_ width: Int) -> String {
        // What is longer keeps its end, and a blank.
        padding(toLength: Swift.max(width, count + 1), withPad: " ", startingAt: 0)
    }
}
