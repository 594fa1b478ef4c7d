import Foundation
import LocalStack
import TestSupport

/// Runs `holdfast-faults`, which the build puts beside the test bundle.
enum FaultsProgram {
    struct Failed: Error {}

    /// Runs a simulation, which lets others go first.
    ///
    /// It takes all of a machine, and has a time of its own, which they have not.
    ///
    /// - Returns: What it printed, and its exit status.
    static func simulate(_ arguments: [String]) async throws -> (output: String, status: Int32?) {
        try await run(arguments, niceness: 19)
    }

    /// A run that goes on.
    struct Run {
        let process: LocalProcess
        fileprivate let path: String

        /// What it has printed.
        var output: String { String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self) }
    }

    /// - Returns: What it printed, and its exit status.
    static func run(_ arguments: [String], niceness: Int = 0) async throws -> (output: String, status: Int32?) {
        let run = try start(arguments, niceness: niceness)
        await run.process.waitForExit()
        return (run.output, run.process.exitStatus)
    }

    /// Starts it, and does not wait.
    static func start(
        _ arguments: [String],
        environment: [String: String] = [:],
        niceness: Int = 0
    ) throws -> Run {
        let folder = TestServers.makeFolder("faults")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/output"
        guard FileManager.default.createFile(atPath: path, contents: nil) else { throw Failed() }
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "holdfast-faults")
        let process = try LocalProcess(
            URL(fileURLWithPath: "/usr/bin/nice"),
            ["-n", "\(niceness)", program.path] + arguments,
            environment: environment,
            output: FileHandle(forWritingAtPath: path),
            signalAtExit: SIGTERM
        )
        return Run(process: process, path: path)
    }
}
