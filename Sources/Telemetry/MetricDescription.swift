/// What a metric is, for those who read it.
package struct MetricDescription: Sendable {
    package enum Kind: Sendable, Equatable {
        case counter
        case gauge
        /// Counts of what was at most each bound; the bounds rise, and infinity is understood.
        case histogram(bounds: [Double])

        /// As the exposition format spells it.
        var name: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    /// With its base unit as a suffix; a counter's ends in `_total`.
    package let name: String
    package let kind: Kind
    /// One line.
    package let help: String

    package init(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        self.kind = kind
        self.help = help
    }
}
