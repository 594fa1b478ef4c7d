import AsyncHTTPClient
import Foundation
import LocalStack
import NIOCore
import NIOHTTP1
import TestSupport

/// A Prometheus that scrapes a test's intake and worker by the rules and the configuration of `deploy/`.
struct Prometheus {
    struct Rule: Decodable { let name: String, query: String, health: String, lastError: String?, state: String? }

    private struct Answer<Content: Decodable>: Decodable { let data: Content }

    private let base: String

    /// Lends one that listens, and ends it.
    static func with<Value: Sendable>(
        token: String,
        intake: IntakeProcess,
        worker: IntakeProcess,
        _ body: (Prometheus) async throws -> Value
    ) async throws -> Value {
        let folder = TestServers.makeFolder("prometheus")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let deployed = DeploymentFiles.folder.appending(path: "prometheus")
        try FileManager.default.copyItem(
            at: deployed.appending(path: "alerts.yaml"),
            to: URL(filePath: "\(folder)/alerts.yaml")
        )
        try token.write(toFile: "\(folder)/holdfast-token", atomically: true, encoding: .utf8)
        // As it is deployed, but for where the parts are, and how often they are asked.
        let configuration = try String(contentsOf: deployed.appending(path: "prometheus.yaml"), encoding: .utf8)
            .replacing("15s", with: "1s")
            .replacing(#"["intake-1:3000", "intake-2:3000"]"#, with: #"["127.0.0.1:\#(intake.port)"]"#)
            .replacing("dns_sd_configs:", with: "static_configs:")
            .replacing("{names: [worker], type: A, port: 3100}", with: #"{targets: ["127.0.0.1:\#(worker.port)"]}"#)
        try configuration.write(toFile: "\(folder)/prometheus.yaml", atomically: true, encoding: .utf8)
        let port = FreePort.find()
        let log = "\(folder)/log"
        try Data().write(to: URL(filePath: log))
        let process = try LocalProcess(
            URL(filePath: "/usr/bin/prometheus"),
            [
                "--config.file=\(folder)/prometheus.yaml", "--storage.tsdb.path=\(folder)/data",
                "--web.listen-address=127.0.0.1:\(port)",
            ],
            output: try FileHandle(forWritingTo: URL(filePath: log))
        )
        let result: Result<Value, any Error>
        do {
            try await eventually("Prometheus listens") { !FreePort.isFree(port) || !process.isRunning }
            try await eventually("Prometheus is ready") {
                let ready = HTTPClientRequest(url: "http://127.0.0.1:\(port)/-/ready")
                return try await HTTPClient.shared.execute(ready, timeout: .seconds(60)).status == .ok
            }
            result = .success(try await body(Prometheus(base: "http://127.0.0.1:\(port)/api/v1")))
        } catch {
            let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            result = .failure(Program.Failed(description: "\(error)\nPrometheus said:\n\(said.suffix(4000))"))
        }
        await process.end(with: SIGTERM, within: .seconds(60))
        return try result.get()
    }

    /// The values of an expression's series; an expression that it cannot evaluate is an error.
    func query(_ expression: String) async throws -> [String] {
        struct Content: Decodable {
            struct Series: Decodable {
                let value: String

                init(from decoder: any Decoder) throws {
                    enum Key: CodingKey { case value }
                    var pair = try decoder.container(keyedBy: Key.self).nestedUnkeyedContainer(forKey: .value)
                    _ = try pair.decode(Double.self)
                    value = try pair.decode(String.self)
                }
            }
            let result: [Series]
        }
        var components = URLComponents(string: "\(base)/query")
        components?.queryItems = [URLQueryItem(name: "query", value: expression)]
        // A plus sign would be read as a space.
        let url = components?.string?.replacing("+", with: "%2B") ?? ""
        return try await get(Content.self, url).result.map(\.value)
    }

    /// The alerts' rules, as they were looked at last.
    func rules() async throws -> [Rule] {
        struct Content: Decodable {
            struct Group: Decodable { let rules: [Rule] }
            let groups: [Group]
        }
        return try await get(Content.self, "\(base)/rules").groups.flatMap(\.rules)
    }

    /// The names of all metrics that it has.
    func names() async throws -> Set<String> {
        try await get(Set<String>.self, "\(base)/label/__name__/values")
    }

    private func get<Content: Decodable>(_ type: Content.Type, _ url: String) async throws -> Content {
        let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(60))
        let body = String(buffer: try await response.body.collect(upTo: 16 << 20))
        guard response.status.code == 200 else {
            throw Program.Failed(description: "\(url): \(body)")
        }
        return try JSONDecoder().decode(Answer<Content>.self, from: Data(body.utf8)).data
    }
}
