import Foundation
import LocalStack
import TestSupport
import Testing

/// The API against its own document, by cases that schemathesis makes of it.
///
/// It needs Python with a package from PyPI, which `deploy/test` installs into `.build/python`.
@Suite(.serialized, .timeLimit(.minutes(6)))
struct SchemathesisTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Schemathesis")
    private static let program = folder.appending(path: "../../../.build/python/bin/schemathesis").standardized

    @Test func `no case that follows or breaks the document finds a failure`() async throws {
        try await TestSystem.with { system in
            try await system.withWorker { _ in
                try await system.withIntake { intake in
                    let folder = TestServers.makeFolder("schemathesis")
                    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                    let output = "\(folder)/report"
                    try Data().write(to: URL(filePath: output))
                    let process = try LocalProcess(
                        Self.program,
                        [
                            "--config-file", Self.folder.appending(path: "schemathesis.toml").path,
                            "run", "\(intake.base)/openapi.yaml", "--url", intake.base,
                            "--seed", "1", "--max-examples", "60", "--generation-database", "none",
                            // A stream of events has no end, and has tests of its own.
                            "--exclude-path", "/v1/events",
                        ],
                        environment: ["PYTHONPATH": Self.folder.path, "PYTHONDONTWRITEBYTECODE": "1"],
                        output: try FileHandle(forWritingTo: URL(filePath: output))
                    )
                    await process.waitForExit()
                    let report = String(decoding: try Data(contentsOf: URL(filePath: output)), as: UTF8.self)
                    #expect(process.exitStatus == 0, "\(report.suffix(6000))")
                }
            }
        }
    }
}
