package import CoreMetrics
import Synchronization

/// Keeps what the process counts, and writes it for Prometheus.
///
/// What ``MetricCatalogue`` does not describe is counted nowhere. Two that are made with one name and the same labels are
/// one.
package final class MetricsRegistry: MetricsFactory {
    /// Asked at each scrape, and within a deadline of its own.
    package typealias Source = @Sendable () async -> [MetricSample]

    private enum Handler: Sendable {
        case count(CountHandler)
        case gauge(GaugeHandler)
        case histogram(HistogramHandler)
    }

    private struct State {
        /// By the metric's name, then by the labels as they are written.
        var series: [String: [String: Handler]] = [:]
        var sources: [Source] = []
    }

    /// The most series of one metric; what would be beyond is counted nowhere.
    static let seriesLimit = 1000
    /// What ``render()`` writes, as HTTP names it.
    package static let contentType = Exposition.contentType

    private let descriptions: [MetricDescription]
    private let kinds: [String: MetricDescription.Kind]
    private let state = Mutex(State())

    /// - Parameter descriptions: What is shown, in this order.
    package init(_ descriptions: [MetricDescription] = MetricCatalogue.all) {
        self.descriptions = descriptions
        kinds = Dictionary(uniqueKeysWithValues: descriptions.map { ($0.name, $0.kind) })
        addSource { ProcessMetrics.samples() }
    }

    /// Adds values that are looked at when they are asked for.
    package func addSource(_ source: @escaping Source) { state.withLock { $0.sources.append(source) } }

    /// All there is, in Prometheus' text format.
    package func render() async -> String {
        let sources = state.withLock { $0.sources }
        let samples = await withTaskGroup(of: (Int, [MetricSample]).self) { group in
            for (index, source) in sources.enumerated() { group.addTask { (index, await source()) } }
            var answers = [[MetricSample]](repeating: [], count: sources.count)
            for await (index, answer) in group { answers[index] = answer }
            return Dictionary(grouping: answers.joined(), by: \.name)
        }
        // Copied: nobody who counts has to wait for what is written.
        let series = state.withLock { $0.series }
        var page = Exposition()
        for description in descriptions {
            let counted = series[description.name] ?? [:]
            let looked = samples[description.name] ?? []
            guard !counted.isEmpty || !looked.isEmpty else { continue }
            page.begin(description)
            for (labels, handler) in counted.sorted(by: { $0.key < $1.key }) {
                switch handler {
                case .count(let count): page.sample(description.name, labels, count.value)
                case .gauge(let gauge): page.sample(description.name, labels, gauge.value)
                case .histogram(let histogram):
                    page.histogram(description.name, labels, histogram.values, bounds: histogram.bounds)
                }
            }
            for sample in looked.prefix(Self.seriesLimit) {
                page.sample(description.name, Exposition.labels(sample.labels), sample.value)
            }
        }
        return page.text
    }

    /// The series of a metric that is described as of this kind; `nil` when there is none, or too many.
    private func handler(
        _ name: String,
        _ labels: [(String, String)],
        _ make: (MetricDescription.Kind) -> Handler?
    ) -> Handler? {
        guard let kind = kinds[name] else { return nil }
        let key = Exposition.labels(labels)
        return state.withLock { state in
            if let known = state.series[name]?[key] { return known }
            guard state.series[name, default: [:]].count < Self.seriesLimit, let new = make(kind) else { return nil }
            state.series[name, default: [:]][key] = new
            return new
        }
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let handler = handler(label, dimensions) { $0 == .counter ? .count(CountHandler()) : nil }
        guard case .count(let count) = handler else { return NOOPMetricsHandler.instance }
        return count
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return gauge(label, dimensions) ?? NOOPMetricsHandler.instance }
        return histogram(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    private func gauge(_ name: String, _ labels: [(String, String)]) -> GaugeHandler? {
        let handler = handler(name, labels) { $0 == .gauge ? .gauge(GaugeHandler()) : nil }
        guard case .gauge(let gauge) = handler else { return nil }
        return gauge
    }

    private func histogram(_ name: String, _ labels: [(String, String)]) -> HistogramHandler? {
        let handler = handler(name, labels) { kind in
            guard case .histogram(let bounds) = kind else { return nil }
            return .histogram(HistogramHandler(bounds: bounds))
        }
        guard case .histogram(let histogram) = handler else { return nil }
        return histogram
    }

    // A series stays for as long as the process does: a counter that was there must not be missed at the next scrape.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}
