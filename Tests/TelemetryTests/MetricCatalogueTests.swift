import Foundation
import Telemetry
import Testing

struct MetricCatalogueTests {
    private static let sources = URL(filePath: #filePath).appending(path: "../../../Sources").standardized

    @Test func `what is counted anywhere is described, and what is described is counted`() throws {
        let files = try #require(FileManager.default.enumerator(at: Self.sources, includingPropertiesForKeys: nil))
        var counted: Set<String> = []
        for case let file as URL in files where file.pathExtension == "swift" {
            if file.lastPathComponent == "MetricCatalogue.swift" { continue }
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /"((?:holdfast|process)_[a-z_]+)"/) {
                let name = String(match.1)
                // Roles and channels have such names too.
                let uses = ["label: \"\(name)\"", "MetricSample(\"\(name)\""]
                if uses.contains(where: text.contains) { counted.insert(name) }
            }
        }
        let described = MetricCatalogue.all.map(\.name)
        #expect(counted == Set(described))
        #expect(described.count == Set(described).count)
    }

    @Test func `names end as their kinds do`() {
        for metric in MetricCatalogue.all {
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect(metric.help.hasSuffix(".") && !metric.help.contains("\n"), "\(metric.name)")
        }
    }
}
