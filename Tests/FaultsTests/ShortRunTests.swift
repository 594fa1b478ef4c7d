import Foundation
import LocalStack
import TestSupport
import Testing

/// A short run of `holdfast-faults`, by a seed of chance.
@Suite(.timeLimit(.minutes(5)))
struct ShortRunTests {
    @Test func `a quarter of a minute of faults breaks no promise`() async throws {
        let folder = TestServers.makeFolder("faults")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/output"
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        // Beside the test bundle, where the build puts it.
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "holdfast-faults")
        let process = try LocalProcess(
            program,
            ["--minutes", "0.25"],
            output: FileHandle(forWritingAtPath: path),
            signalAtExit: SIGTERM
        )
        await process.waitForExit()
        let output = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        print(output)
        #expect(process.exitStatus == 0)
        #expect(output.contains("checks passed"))
    }
}
