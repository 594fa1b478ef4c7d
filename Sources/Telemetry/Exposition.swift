/// Writes metrics as Prometheus' text format has them.
///
/// - Source: Prometheus exposition formats, text format 0.0.4.
struct Exposition {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// Begins a metric; its samples follow.
    mutating func begin(_ description: MetricDescription) {
        let help = description.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        text += "# HELP \(description.name) \(help)\n# TYPE \(description.name) \(description.kind.name)\n"
    }

    /// - Parameters:
    ///   - name: The metric's, with a suffix where its kind has some.
    ///   - labels: As ``labels(_:)`` writes them.
    ///   - value: The value.
    mutating func sample(_ name: String, _ labels: String, _ value: Double) {
        text += labels.isEmpty ? "\(name) \(Self.number(value))\n" : "\(name){\(labels)} \(Self.number(value))\n"
    }

    mutating func histogram(_ name: String, _ labels: String, _ values: HistogramHandler.Values, bounds: [Double]) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var count: UInt64 = 0
        for (bound, more) in zip(bounds + [.infinity], values.counts) {
            count += more
            sample("\(name)_bucket", "\(prefix)le=\"\(Self.number(bound))\"", Double(count))
        }
        sample("\(name)_sum", labels, values.sum)
        sample("\(name)_count", labels, Double(count))
    }

    /// Labels between their braces, sorted by name.
    static func labels(_ labels: [(String, String)]) -> String {
        labels.sorted { $0.0 < $1.0 }.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",")
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value == .infinity { return "+Inf" }
        if value == -.infinity { return "-Inf" }
        if value.isNaN { return "NaN" }
        return Int64(exactly: value).map(String.init) ?? "\(value)"
    }
}
