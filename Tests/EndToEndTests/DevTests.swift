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

    /// The processes that a process started, with their command lines.
    private func children(of parent: pid_t) throws -> [(pid: pid_t, command: [String])] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.compactMap { pid in
            guard let status = FileManager.default.contents(atPath: "/proc/\(pid)/status"),
                String(decoding: status, as: UTF8.self).contains("\nPPid:\t\(parent)\n"),
                let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
            else { return nil }
            return (pid, line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
        }
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

    @Test func `dev that is stopped while it starts has not failed`() async throws {
        let folder = TestServers.makeFolder("dev")
        let program = try Program(["dev", "--port", "0", "--data-folder", folder])
        try await program.whileRunning {
            try await eventually("it starts the parts") { program.output.contains("Starting the intake") }
            program.process.signal(SIGINT)
            await program.process.waitForExit()
            #expect(program.process.exitStatus == 0)
            #expect(!program.output.contains("\nFailed"), "\(program.output)")
        }
        #expect(try processes(naming: folder) == [])
    }

    @Test func `a second dev in the same folder says so`() async throws {
        let folder = TestServers.makeFolder("dev")
        try await withDev(["--data-folder", folder]) { program, _ in
            let output = try await Program.run(["dev", "--data-folder", folder], status: 1)
            #expect(output.contains("\(folder) is in use by process \(program.process.pid)"))
        }
    }

    @Test(arguments: ["PostgreSQL", "worker-1", "the intake"])
    func `when a part ends without which nothing works, dev says which, and ends the rest`(part: String) async throws {
        let folder = TestServers.makeFolder("dev")
        try await withDev(["--data-folder", folder]) { program, _ in
            let argument = ["PostgreSQL": "\(folder)/postgres/data", "the intake": "serve"][part] ?? part
            let children = try children(of: program.process.pid)
            let pid = try #require(children.first { $0.command.contains(argument) }).pid
            kill(pid, SIGKILL)
            await program.process.waitForExit()
            #expect(program.process.exitStatus == 1)
            #expect(program.output.contains("\(part) (process \(pid)) has ended by itself"))
        }
        #expect(try processes(naming: folder) == [])
    }

    @Test func `a lock node that ends is told of and ends nothing, and is started again when that is asked for`()
        async throws
    {
        let folder = TestServers.makeFolder("dev")
        try await withDev(["--data-folder", folder]) { program, ready in
            let intake = IntakeProcess(program: program, base: ready.intake)
            func end(_ node: Int) async throws { try await Tool.redis(ready.lockNodes[node], "shutdown", "nosave") }
            func says(_ text: String) async throws {
                try await eventually("dev says: \(text)") {
                    guard program.process.isRunning else { throw Program.Failed(description: "dev has ended") }
                    return program.output.contains(text)
                }
            }
            func finishes(_ job: Int64) async throws {
                try await eventually("job \(job) has run") {
                    try await intake.get("/v1/jobs/\(job)").body.contains(#""state":"succeeded""#)
                }
            }
            try await end(2)
            try await says(
                "The lock node \(ready.lockNodes[2]) has ended: 2 of 3 vote, and jobs run on; kill -USR1 "
                    + "\(program.process.pid) starts it again."
            )
            try await finishes(try await intake.submit("two", "v"))
            let missed = "no vote from \(ready.lockNodes[2].dropFirst("redis://".count))"
            try await eventually("both workers miss it") {
                try await Program.run(["workers"], environment: ["HOLDFAST_DATABASE_URL": ready.database])
                    .split(separator: "\n").count { $0.contains(missed) } == 2
            }

            try await end(1)
            try await says("The lock node \(ready.lockNodes[1]) has ended: 1 of 3 is no quorum, and jobs wait")
            let job = try await intake.submit("one", "v")
            try await eventually("it waits for a quorum") {
                try await intake.get("/v1/jobs/\(job)/why").body.contains("no-quorum")
            }
            program.process.signal(SIGUSR1)
            try await says("The lock node \(ready.lockNodes[1]) is started again: 2 of 3 vote")
            try await says("The lock node \(ready.lockNodes[2]) is started again: all 3 vote.")
            try await finishes(job)

            // It is looked after as before.
            let count = program.output.matches(of: /has ended: 2 of 3/).count
            try await end(2)
            try await eventually("it is told of again") {
                program.output.matches(of: /has ended: 2 of 3/).count == count + 1
            }
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
