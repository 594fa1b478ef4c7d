import Foundation
import TestSupport

/// The files of `deploy/`, as the programs see them that read them.
enum DeploymentFiles {
    /// How a part is started.
    struct Part: Decodable {
        let arguments: [String]
        let environment: [String: String]
    }

    static let folder = Tool.repository.appending(path: "deploy")

    /// Runs `Deployment/check.py`, which prints what is wrong.
    static func check(_ arguments: String...) async throws -> Tool.Result {
        let script = URL(filePath: #filePath).appending(path: "../../Deployment/check.py").standardized
        return try await Tool.python("python", [script.path] + arguments)
    }

    /// What `kubectl apply -k` would send, in a file.
    static func rendered(_ overlay: String) async throws -> String {
        let result = try await Tool.python(
            "kubectl",
            ["kustomize", folder.appending(path: "kubernetes/overlays/\(overlay)").path]
        )
        guard result.status == 0 else { throw Program.Failed(description: result.output) }
        let path = TestServers.makeFolder(overlay) + ".yaml"
        try result.output.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// How each part is started by `kubernetes`, `compose` or `systemd`; by its command: `serve`, `work` and `migrate`.
    static func parts(of kind: String) async throws -> [String: Part] {
        let result =
            kind == "kubernetes"
            ? try await check("settings", kind, rendered("keda")) : try await check("settings", kind)
        guard result.status == 0 else { throw Program.Failed(description: result.output) }
        return try JSONDecoder().decode([String: Part].self, from: Data(result.output.utf8))
    }
}
