import Foundation
import LocalStack
import TestSupport
import Testing

/// The rules and the dashboard of `deploy/`, against a real Prometheus that scrapes a real intake and a real worker.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct MonitoringTests {
    private static let rules = DeploymentFiles.folder.appending(path: "prometheus/alerts.yaml")
    private static let promtool = URL(filePath: "/usr/bin/promtool")

    private struct Dashboard: Decodable {
        struct Panel: Decodable {
            struct Target: Decodable { let expr: String }
            let id: Int
            let title: String
            let targets: [Target]?
        }
        let panels: [Panel]
    }

    @Test(arguments: [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]])
    func `promtool takes the rules, and they tell of what they should`(arguments: [String]) async throws {
        let file = Self.rules.deletingLastPathComponent().appending(path: arguments[2])
        let result = try await Tool.run(Self.promtool, Array(arguments.prefix(2)) + [file.path])
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("SUCCESS"))
    }

    @Test func `Prometheus scrapes both parts, and finds what rules and dashboard ask for`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("prometheus", "metrics,submit")
            try await system.withMeasuredWorker { worker in
                try await system.withIntake(["--require-tokens"]) { intake in
                    let body = #"{"key":"k","value":"v","durationMs":0}"#
                    let answer = try await intake.post("/v1/jobs", body, token: token)
                    _ = try await system.outcome(of: try #require(answer.job))
                    let waiting = #"{"key":"w","value":"v","queue":"unserved"}"#
                    #expect(try await intake.post("/v1/jobs", waiting, token: token).status == 202)
                    try await Prometheus.with(token: token, intake: intake, worker: worker) { prometheus in
                        try await Self.check(prometheus)
                    }
                }
            }
        }
    }

    private static func check(_ prometheus: Prometheus) async throws {
        // Rules first: once they have been looked at, both parts have been scraped.
        try await eventually("both parts are scraped, and each rule has been looked at") {
            let up = try await prometheus.query("sum(up)")
            let rules = try await prometheus.rules()
            return up == ["2"] && rules.allSatisfy { $0.health != "unknown" }
        }
        let rules = try await prometheus.rules()
        #expect(rules.count > 15)
        for rule in rules { #expect(rule.health == "ok" && rule.lastError == nil, "\(rule)") }
        #expect(rules.filter { $0.state == "firing" }.isEmpty)
        let dashboard = try JSONDecoder().decode(
            Dashboard.self,
            from: Data(contentsOf: DeploymentFiles.folder.appending(path: "grafana/holdfast.json"))
        )
        #expect(Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
        let asked = dashboard.panels.flatMap { $0.targets ?? [] }.map {
            $0.expr.replacing("$__rate_interval", with: "1m")
        }
        #expect(asked.count > 30)
        for expression in asked { _ = try await prometheus.query(expression) }
        let known = try await prometheus.names()
        for expression in asked + rules.map(\.query) {
            let names = expression.matches(of: /\b(?:holdfast|process)_[a-z_]+/).map { String($0.output) }
            #expect(!names.isEmpty || expression.hasPrefix("up{"), "\(expression)")
            for name in names { #expect(known.contains(name), "\(name) in \(expression)") }
        }
    }
}
