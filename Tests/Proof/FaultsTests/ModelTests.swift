import Foundation
import LocalStack
import TestSupport
import Testing

/// The model of the lock and the fence, searched by spin.
///
/// It needs spin and gcc, which `deploy/test` installs.
@Suite(.timeLimit(.minutes(10)))
struct ModelTests {
    private static let program = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../Sources/Proof/Model/check").standardized

    @Test func `the model keeps its promises, and each bug in it is found`() async throws {
        let folder = TestServers.makeFolder("model")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/output"
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        // Ended by SIGTERM, it ends the search and removes what it made.
        // A search takes all of a machine, and asks for no time: tests that do go first.
        let process = try LocalProcess(
            URL(fileURLWithPath: "/usr/bin/nice"),
            ["-n", "19", Self.program.path],
            output: FileHandle(forWritingAtPath: path),
            signalAtExit: SIGTERM
        )
        await process.waitForExit()
        let output = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        print(output)
        #expect(process.exitStatus == 0, "\(output)")
        // The searches were made: nothing else has these lines.
        for name in ["effects", "exclusion", "no-write-fence", "no-quarantine", "quorum-of-one"] {
            #expect(output.contains("\n\(name) "))
        }
    }
}
