import Foundation
import LocalStack

extension LocalProcess {
    /// Runs a program to its end.
    ///
    /// - Returns: What it printed.
    /// - Throws: ``BenchError`` when it fails; `CancellationError`.
    static func output(of program: URL, _ arguments: [String]) async throws -> String {
        try await withBenchFolder { folder in
            let path = "\(folder)/output"
            guard FileManager.default.createFile(atPath: path, contents: nil),
                let file = FileHandle(forWritingAtPath: path)
            else { throw BenchError(description: "cannot write \(path)") }
            let process = try LocalProcess(program, arguments, output: file)
            await process.waitForExit()
            guard !Task.isCancelled else {
                await process.end(with: SIGKILL)
                throw CancellationError()
            }
            guard process.exitStatus == 0 else {
                throw BenchError(description: "\(program.lastPathComponent) failed: \(contents(path))")
            }
            return contents(path)
        }
    }

    private static func contents(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}
