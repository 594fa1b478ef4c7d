import Foundation
import LocalStack
import TestSupport

/// A process of the program under test, `holdfast`, with its output in a file.
struct Program: Sendable {
    struct Failed: Error, CustomStringConvertible { let description: String }

    /// Beside the test bundle, where the build puts it.
    static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "holdfast")

    let process: LocalProcess
    let outputPath: String

    init(_ arguments: [String], launcher: [String] = [], environment: [String: String] = [:]) throws {
        let folder = TestServers.makeFolder("program")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        outputPath = "\(folder)/output"
        guard FileManager.default.createFile(atPath: outputPath, contents: nil),
            let output = FileHandle(forWritingAtPath: outputPath)
        else { throw Failed(description: "cannot write \(outputPath)") }
        process = try LocalProcess(
            Self.executable,
            arguments,
            launcher: launcher,
            environment: environment,
            output: output
        )
    }

    /// What it has printed so far, on standard output and standard error.
    var output: String {
        FileManager.default.contents(atPath: outputPath).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Runs the program to its end.
    ///
    /// - Returns: What it printed.
    /// - Throws: ``Failed`` when its exit status is not `status`.
    @discardableResult
    static func run(
        _ arguments: [String],
        launcher: [String] = [],
        environment: [String: String] = [:],
        status: Int32 = 0
    ) async throws -> String {
        let program = try Program(arguments, launcher: launcher, environment: environment)
        await program.process.waitForExit()
        guard program.process.exitStatus == status else {
            throw Failed(
                description: "\(arguments) ended with \(program.process.exitStatus ?? -1): \(program.output)"
            )
        }
        return program.output
    }

    /// Ends it in order once `body` is over; what it printed comes with an error of the body.
    func whileRunning<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        do {
            let value = try await body()
            await process.end(with: SIGTERM, within: .seconds(60))
            return value
        } catch {
            await process.end(with: SIGKILL)
            throw Failed(description: "\(error)\nThe program's output:\n\(output.suffix(4000))")
        }
    }
}
