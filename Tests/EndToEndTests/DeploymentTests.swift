import Foundation
import TestSupport
import Testing

/// The files of `deploy/` against their schemas, against linters, and against the program.
///
/// They need programs from PyPI, which `deploy/test` installs into `.build/python`.
@Suite(.timeLimit(.minutes(3)))
struct DeploymentTests {
    private static let hasSystemd = FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")
    private static let systemdAnalyze = URL(filePath: "/usr/bin/systemd-analyze")

    @Test(arguments: ["trial", "keda", "hpa"])
    func `manifests follow Kubernetes' schemas, strictly`(overlay: String) async throws {
        let path = try await DeploymentFiles.rendered(overlay)
        let result = try await Tool.python("kubernetes-validate", ["--strict", path])
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("passed for resource deployment/worker"))
        // KEDA's own kinds have their own test, below.
        let others = result.output.split(separator: "\n").filter { line in
            !line.hasPrefix("INFO") && !line.contains("keda.sh/v1alpha1")
        }
        #expect(others.isEmpty, "\(others)")
    }

    @Test func `what KEDA is told has the fields that KEDA knows`() async throws {
        let result = try await DeploymentFiles.check("keda", DeploymentFiles.rendered("keda"))
        #expect(result.status == 0, "\(result.output)")
    }

    @Test(arguments: ["trial", "keda", "hpa"])
    func `ports, selectors, secrets and deadlines of manifests fit each other`(overlay: String) async throws {
        let result = try await DeploymentFiles.check("kubernetes", DeploymentFiles.rendered(overlay))
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `Compose's file follows its schema, and fits itself`() async throws {
        let file = DeploymentFiles.folder.appending(path: "compose.yaml").path
        let schema = try await Tool.python("check-jsonschema", ["--builtin-schema", "vendor.compose-spec", file])
        #expect(schema.status == 0, "\(schema.output)")
        let result = try await DeploymentFiles.check("compose")
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `the Dockerfile is linted`() async throws {
        let result = try await Tool.python("hadolint", [DeploymentFiles.folder.appending(path: "Dockerfile").path])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `units leave their parts the time that these take to end`() async throws {
        let result = try await DeploymentFiles.check("systemd")
        #expect(result.status == 0, "\(result.output)")
    }

    @Test(
        .enabled(if: hasSystemd, "systemd-analyze is not installed"),
        arguments: ["holdfast-intake.service", "holdfast-worker@.service", "holdfast-migrate.service"]
    )
    func `systemd takes each unit, and finds little to fear`(unit: String) async throws {
        // With the program where it is: it verifies that there is one.
        let text = try String(contentsOf: DeploymentFiles.folder.appending(path: "systemd/\(unit)"), encoding: .utf8)
        let folder = TestServers.makeFolder("units")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/\(unit)"
        try text.replacing("/usr/local/bin/holdfast", with: Program.executable.path)
            .write(toFile: path, atomically: true, encoding: .utf8)
        let verified = try await Tool.run(Self.systemdAnalyze, ["verify", "--recursive-errors=one", path])
        #expect(verified.status == 0 && verified.output.isEmpty, "\(verified.output)")
        // In tenths: 10 is a unit without any hardening.
        let feared = try await Tool.run(
            Self.systemdAnalyze,
            ["security", "--offline=true", "--threshold=15", "--no-pager", path]
        )
        #expect(feared.status == 0, "\(feared.output)")
    }

    @Test func `commands, flags, settings and users that are named exist`() async throws {
        let result = try await DeploymentFiles.check("names", Program.executable.path)
        #expect(result.status == 0, "\(result.output)")
    }
}
