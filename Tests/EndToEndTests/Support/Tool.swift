import Foundation
import LocalStack
import TestSupport

/// Other programs that tests ask, such as linters.
enum Tool {
    struct Result {
        let status: Int32
        /// What it wrote, on standard output and standard error.
        let output: String
    }

    /// The top of the repository.
    static let repository = URL(filePath: #filePath).appending(path: "../../../..").standardized

    /// Runs a program that `deploy/test` installs from PyPI.
    static func python(
        _ name: String,
        _ arguments: [String],
        _ environment: [String: String] = [:],
        launcher: [String] = []
    ) async throws -> Result {
        let program = repository.appending(path: ".build/python/bin/\(name)")
        return try await run(program, arguments, environment, launcher: launcher)
    }

    /// Says something to a Redis node.
    static func redis(_ url: String, _ command: String...) async throws {
        let result = try await run(URL(filePath: "/usr/bin/redis-cli"), ["-u", url] + command)
        guard result.status == 0 else { throw Program.Failed(description: result.output) }
    }

    /// Runs a program to its end.
    static func run(
        _ program: URL,
        _ arguments: [String],
        _ environment: [String: String] = [:],
        launcher: [String] = []
    ) async throws -> Result {
        let folder = TestServers.makeFolder("tool")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let output = URL(filePath: "\(folder)/output")
        try Data().write(to: output)
        let quiet = ["PYTHONDONTWRITEBYTECODE": "1"]
        let process = try LocalProcess(
            program,
            arguments,
            launcher: launcher,
            environment: environment.merging(quiet) { $1 },
            output: try FileHandle(forWritingTo: output)
        )
        await process.waitForExit()
        let text = String(decoding: try Data(contentsOf: output), as: UTF8.self)
        return Result(status: process.exitStatus ?? -1, output: text)
    }
}
