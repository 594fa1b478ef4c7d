import Foundation
import Holdfast
import LocalStack
import Postgres
import TestSupport
import Testing

/// What signals, and readers of the output that are slow or gone, do to the program.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct SignalTests {
    @Test func `SIGHUP ends neither a worker nor an intake that has no certificate`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorker { worker in
                    let job = try await intake.submit("k", "v")
                    for process in [intake.program, worker] {
                        process.process.signal(SIGHUP)
                        try await eventually("it says so") {
                            process.output.contains("SIGHUP: there is nothing to reload")
                        }
                    }
                    #expect(try await system.outcome(of: job).attempt == 1)
                    #expect(worker.process.isRunning && intake.program.process.isRunning)
                }
            }
        }
    }

    @Test func `dev whose reader has gone ends in order, and leaves nothing`() async throws {
        struct Ready: Decodable { let dataFolder: String }
        let pipe = Pipe()
        let process = try LocalProcess(
            Program.executable,
            ["dev", "--ephemeral", "--json", "--port", "0"],
            output: pipe.fileHandleForWriting
        )
        try pipe.fileHandleForWriting.close()
        var output = Data()
        var ready: Ready?
        while ready == nil, case let piece = pipe.fileHandleForReading.availableData, !piece.isEmpty {
            output += piece
            ready =
                output.split(separator: UInt8(ascii: "\n")).lazy
                .compactMap { try? JSONDecoder().decode(Ready.self, from: $0) }.first  // A line of the log.
        }
        let folder = try #require(ready).dataFolder
        #expect(FileManager.default.fileExists(atPath: folder))
        try pipe.fileHandleForReading.close()
        await process.waitForExit()
        #expect(process.exitStatus == 0)
        #expect(!FileManager.default.fileExists(atPath: folder))
        #expect(try Self.commands().filter { $0.contains(folder) } == [])
    }

    @Test func `a log whose reader has stopped stops nothing: lines are dropped, counted, and told`() async throws {
        try await TestSystem.with { system in
            let pipe = Pipe()
            let port = FreePort.find()
            let worker = try LocalProcess(
                Program.executable,
                ["work", "--log-level", "trace", "--health-port", "\(port)"],
                environment: system.environment(for: "holdfast_worker"),
                output: pipe.fileHandleForWriting
            )
            try pipe.fileHandleForWriting.close()
            try await system.withIntake { intake in
                let health = IntakeProcess(program: intake.program, base: "http://127.0.0.1:\(port)")
                try await eventually("it listens") { !FreePort.isFree(port) }
                // What they log is more than a pipe and the buffer hold.
                for batch in 0..<8 {
                    let jobs = (0..<1000).map { #"{"key":"\#(batch)-\#($0)","value":"v","durationMs":0}"# }
                    let answer = try await intake.post("/v1/jobs/batch", "[\(jobs.joined(separator: ","))]")
                    #expect(answer.status == 202)
                }
                try await eventually("all have run") {
                    try await system.count("select count(*) from holdfast.finished_jobs") == 8000
                }
                #expect(try await health.get("/healthz").status == 200)
                #expect(try await MetricsPage(of: health)["holdfast_log_lines_dropped_total"] > 0)
                // It reads again.
                var text = ""
                while !text.contains(" lines of the log were dropped") {
                    text += String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
                }
                #expect(text.contains("Worker started"))
                await worker.end(with: SIGTERM, within: .seconds(60))
                #expect(worker.exitStatus == 0)
            }
        }
    }

    @Test(
        .enabled(if: getuid() == 0, "a process namespace needs root"),
        arguments: [["jobs", "wait", "1"], ["migrate"]]
    )
    func `the first process of a container ends at SIGTERM`(command: [String]) async throws {
        try await TestSystem.with { system in
            _ = try await system.texts("select holdfast.submit('k', 'v', run_at => now() + interval '1 hour')::text")
            try await system.pool.withTransaction { connection in
                // What it would do is held up.
                try await connection.executeScript(
                    "set local idle_in_transaction_session_timeout = 0; lock table holdfast.schema_migrations"
                )
                let program = try Program(
                    command,
                    launcher: ["/usr/bin/unshare", "--pid", "--fork"],
                    environment: system.environment
                )
                try await eventually("it asks the database") {
                    try await system.count(
                        "select count(*) from pg_stat_activity where application_name like 'holdfast %'"
                    ) > 0
                }
                let child = try #require(Self.children(of: program.process.pid).first)
                kill(child, SIGTERM)
                await program.process.waitForExit()
                #expect(program.process.exitStatus == 128 + SIGTERM)
            }
        }
    }

    private static func children(of parent: pid_t) throws -> [pid_t] {
        let text = try String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)
        return text.split(separator: " ").compactMap { pid_t($0) }
    }

    /// The command lines of all processes.
    private static func commands() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int32($0) != nil }.compactMap { pid in
            FileManager.default.contents(atPath: "/proc/\(pid)/cmdline").map { String(decoding: $0, as: UTF8.self) }
        }
    }
}
