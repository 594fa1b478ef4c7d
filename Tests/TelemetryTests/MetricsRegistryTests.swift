import CoreMetrics
import Telemetry
import Testing

struct MetricsRegistryTests {
    private let registry = MetricsRegistry([
        MetricDescription("test_things_total", .counter, "Things, \\ and\nmore."),
        MetricDescription("test_level", .gauge, "A level."),
        MetricDescription("test_wait_seconds", .histogram(bounds: [0.1, 1]), "Waits."),
        MetricDescription("test_size", .histogram(bounds: [10]), "Sizes."),
        MetricDescription("test_looked_at", .gauge, "What is looked at."),
    ])

    private func counter(_ label: String, _ dimensions: [(String, String)] = []) -> Counter {
        Counter(label: label, dimensions: dimensions, factory: registry)
    }

    /// The lines of one metric's samples.
    private func lines(_ name: String) async -> [String] {
        await registry.render().split(separator: "\n").map(String.init).filter { $0.hasPrefix(name) }
    }

    @Test func `a counter is written with its help, its type and its labels, escaped`() async {
        counter("test_things_total", [("b", "2\"\\\n"), ("a", "1")]).increment(by: 3)
        let page = await registry.render()
        #expect(
            page.contains(
                #"""
                # HELP test_things_total Things, \\ and\nmore.
                # TYPE test_things_total counter
                test_things_total{a="1",b="2\"\\\n"} 3

                """#
            )
        )
    }

    @Test func `two counters of one name and the same labels are one`() async {
        counter("test_things_total", [("a", "1"), ("b", "2")]).increment()
        counter("test_things_total", [("b", "2"), ("a", "1")]).increment()
        counter("test_things_total", [("a", "2"), ("b", "2")]).increment()
        #expect(
            await lines("test_things_total") == [
                #"test_things_total{a="1",b="2"} 2"#, #"test_things_total{a="2",b="2"} 1"#,
            ]
        )
    }

    @Test func `a histogram counts what was at most each bound, in seconds`() async {
        let timer = Timer(label: "test_wait_seconds", dimensions: [], factory: registry)
        timer.recordMilliseconds(100)
        timer.recordMilliseconds(500)
        timer.recordSeconds(2)
        #expect(
            await lines("test_wait_seconds") == [
                #"test_wait_seconds_bucket{le="0.1"} 1"#, #"test_wait_seconds_bucket{le="1"} 2"#,
                #"test_wait_seconds_bucket{le="+Inf"} 3"#, "test_wait_seconds_sum 2.6", "test_wait_seconds_count 3",
            ]
        )
        Recorder(label: "test_size", dimensions: [], aggregate: true, factory: registry).record(11)
        let sizes = await lines("test_size_bucket")
        #expect(sizes == [#"test_size_bucket{le="10"} 0"#, #"test_size_bucket{le="+Inf"} 1"#])
    }

    @Test func `a gauge has what it was given last, and goes up and down from many sides`() async {
        let level = Meter(label: "test_level", dimensions: [], factory: registry)
        level.set(2.5)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        level.increment(by: 2)
                        level.decrement()
                    }
                }
            }
        }
        #expect(await lines("test_level") == ["test_level 8002.5"])
    }

    @Test func `sources are asked at each scrape`() async {
        let asked = Counter(label: "test_things_total", dimensions: [], factory: registry)
        registry.addSource {
            asked.increment()
            return [MetricSample("test_looked_at", 1, [("node", "a")]), MetricSample("unknown", 1)]
        }
        #expect(await lines("test_looked_at") == [#"test_looked_at{node="a"} 1"#])
        _ = await registry.render()
        #expect(await lines("test_things_total") == ["test_things_total 3"])
        #expect(await lines("unknown").isEmpty)
    }

    @Test func `what is not described, or described as something else, is counted nowhere`() async {
        counter("nobody_knows_total").increment()
        counter("test_level").increment()
        Timer(label: "test_things_total", dimensions: [], factory: registry).recordSeconds(1)
        #expect(await registry.render().isEmpty)
    }

    @Test func `a metric has so many series, and no more`() async {
        for number in 0..<1500 { counter("test_things_total", [("n", "\(number)")]).increment() }
        #expect(await lines("test_things_total").count == 1000)
    }

    @Test func `the process says what Linux knows of it`() async throws {
        let page = await MetricsRegistry().render().split(separator: "\n").filter { !$0.hasPrefix("#") }
        let values = Dictionary(
            uniqueKeysWithValues: page.map { line in
                let parts = line.split(separator: " ")
                return (String(parts[0]), Double(parts[1]) ?? .nan)
            }
        )
        #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
        #expect(try #require(values["process_virtual_memory_bytes"]) > 1_000_000)
        #expect(try #require(values["process_cpu_seconds_total"]) > 0)
        #expect(try #require(values["process_open_fds"]) >= 3)
        #expect(try #require(values["process_max_fds"]) >= 3)
        // Some time between 2020 and 2100.
        #expect((1_577_836_800...4_102_444_800).contains(try #require(values["process_start_time_seconds"])))
    }
}
