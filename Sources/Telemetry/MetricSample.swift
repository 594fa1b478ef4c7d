/// A metric's value at the moment of a scrape.
package struct MetricSample: Sendable {
    let name: String
    let labels: [(String, String)]
    let value: Double

    /// - Parameters:
    ///   - name: Of a gauge or counter that ``MetricCatalogue`` describes.
    ///   - value: In the metric's unit.
    ///   - labels: Names and values; each name has few values.
    package init(_ name: String, _ value: Double, _ labels: [(String, String)] = []) {
        self.name = name
        self.value = value
        self.labels = labels
    }

    package init(_ name: String, _ value: Int, _ labels: [(String, String)] = []) {
        self.init(name, Double(value), labels)
    }
}
