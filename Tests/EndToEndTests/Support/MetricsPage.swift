import Foundation
import TestSupport

/// What a process showed at `/metrics`.
struct MetricsPage {
    let text: String
    /// By name and labels, as they are written.
    let values: [String: Double]

    init(_ text: String) {
        self.text = text
        values = Dictionary(
            text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
                guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                    return nil
                }
                return (String(line[..<space]), value)
            }
        ) { first, _ in first }
    }

    /// - Throws: When the process does not show it.
    init(of process: IntakeProcess, token: String? = nil) async throws {
        let answer = try await process.get("/metrics", token: token)
        guard answer.status == 200, answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8" else {
            throw Program.Failed(description: "no metrics: \(answer)")
        }
        self.init(answer.body)
    }

    /// A sample; 0 when there is none.
    subscript(_ series: String) -> Double { values[series] ?? 0 }

    /// What `promtool` finds wrong with it; empty when nothing.
    func problems() async throws -> String {
        let path = TestServers.makeFolder("metrics")
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let shell = URL(filePath: "/bin/sh")
        let result = try await Tool.run(shell, ["-c", "promtool check metrics < \(path)"])
        return result.status == 0 ? result.output : "\(result.output) (\(result.status))"
    }
}
