import Foundation
import LocalStack
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct DevTests {
    private struct Ready: Decodable {
        let intake, database, valueNode, dataFolder: String
        let lockNodes: [String]
    }

    /// Lends a `holdfast dev` that is ready.
    private func withDev<Value: Sendable>(
        _ arguments: [String],
        _ body: (Program, Ready) async throws -> Value
    ) async throws -> Value {
        let program = try Program(["dev", "--json", "--port", "0"] + arguments)
        return try await program.whileRunning {
            let ready = try await eventually("dev is ready") {
                guard program.process.isRunning else { throw Program.Failed(description: "dev has ended") }
                return program.output.split(separator: "\n").first { $0.hasPrefix("{") }
                    .flatMap { try? JSONDecoder().decode(Ready.self, from: Data($0.utf8)) }  // Half a line: not yet.
            }
            return try await body(program, ready)
        }
    }

    /// The processes whose command line names a folder.
    private func processes(naming folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int32($0) != nil }.compactMap { pid in
            FileManager.default.contents(atPath: "/proc/\(pid)/cmdline").map { String(decoding: $0, as: UTF8.self) }
        }.filter { $0.contains(folder) }
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `dev serves, stops in order, and keeps its data`(signal: Int32) async throws {
        let folder = TestServers.makeFolder("dev")
        let job = try await withDev(["--data-folder", folder]) { program, ready in
            let intake = IntakeProcess(program: program, base: ready.intake)
            #expect(ready.lockNodes.count == 3 && ready.valueNode == ready.lockNodes[0])
            let job = try await intake.submit("k", "v")
            try await eventually("it has run") {
                try await intake.get("/v1/jobs/\(job)").body.contains(#""state":"succeeded""#)
            }
            #expect(try !processes(naming: folder).isEmpty)
            program.process.signal(signal)
            await program.process.waitForExit()
            #expect(program.process.exitStatus == 0)
            return job
        }
        #expect(try processes(naming: folder) == [])
        try await withDev(["--data-folder", folder]) { program, ready in
            let intake = IntakeProcess(program: program, base: ready.intake)
            let kept = try await intake.get("/v1/jobs/\(job)").body
            #expect(kept.contains(#""state":"succeeded""#))
            let value = try await intake.get("/getValue/k").body
            #expect(value == #""v""#)
        }
    }

    @Test func `a second dev in the same folder says so`() async throws {
        let folder = TestServers.makeFolder("dev")
        try await withDev(["--data-folder", folder]) { program, _ in
            let output = try await Program.run(["dev", "--data-folder", folder], status: 1)
            #expect(output.contains("\(folder) is in use by process \(program.process.pid)"))
        }
    }

    @Test func `when a part ends by itself, dev says which, and ends the rest`() async throws {
        let folder = TestServers.makeFolder("dev")
        try await withDev(["--data-folder", folder]) { program, ready in
            let node = try #require(ready.lockNodes.last)
            let port = try #require(node.split(separator: ":").last.map(String.init))
            _ = try LocalProcess(
                URL(fileURLWithPath: "/usr/bin/redis-cli"),
                ["-p", port, "shutdown", "nosave"],
                output: .nullDevice
            )
            await program.process.waitForExit()
            #expect(program.process.exitStatus == 1)
            #expect(program.output.contains("the lock node \(node) (process "))
            #expect(program.output.contains("has ended by itself"))
        }
        #expect(try processes(naming: folder) == [])
    }

    @Test func `an ephemeral dev throws its data away`() async throws {
        let folder = try await withDev(["--ephemeral"]) { _, ready in
            #expect(FileManager.default.fileExists(atPath: ready.dataFolder))
            return ready.dataFolder
        }
        #expect(!FileManager.default.fileExists(atPath: folder))
        #expect(try processes(naming: folder) == [])
    }

    @Test func `when dev is killed its processes end, and the next one takes over its servers`() async throws {
        let folder = TestServers.makeFolder("dev")
        await #expect(throws: Program.Failed.self) {
            try await withDev(["--data-folder", folder]) { program, _ in
                program.process.signal(SIGKILL)
                await program.process.waitForExit()
                throw Program.Failed(description: "killed on purpose")
            }
        }
        try await withDev(["--data-folder", folder]) { program, ready in
            let job = try await IntakeProcess(program: program, base: ready.intake).submit("k", "v")
            #expect(job > 0)
        }
        #expect(try processes(naming: folder) == [])
    }

    @Test func `the demo tells the story`() async throws {
        try await withDev(["--ephemeral", "--demo"]) { program, _ in
            try await eventually("the story is told") { program.output.contains("holdfast.lock_holds") }
            #expect(program.output.contains(#"the key's value is "B""#))
        }
    }
}
