import Foundation
import Holdfast
import LocalStack
import Postgres
import TestSupport
import Testing

/// Behind PgBouncer in transaction mode, which lends a server for one transaction.
@Suite(.timeLimit(.minutes(3)))
struct PgBouncerTests {
    /// Starts a pooler before a stack's database.
    private func start(
        _ stack: LocalStack,
        in folder: String,
        ignoring parameters: String = "options,extra_float_digits"
    ) async throws -> (process: LocalProcess, url: String) {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let port = FreePort.find()
        let host = try #require(
            URLComponents(string: stack.databaseURL)?.queryItems?.first { $0.name == "host" }?.value
        )
        try #"""
        [databases]
        * = host=\#(host) user=holdfast
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = \#(port)
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = 4
        ignore_startup_parameters = \#(parameters)
        """#
        .write(toFile: "\(folder)/pgbouncer.ini", atomically: true, encoding: .utf8)
        let log = "\(folder)/log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
        let process = try LocalProcess(
            URL(fileURLWithPath: try #require(program)),
            // It does not run as root.
            (getuid() == 0 ? ["-u", "postgres"] : []) + ["\(folder)/pgbouncer.ini"],
            output: FileHandle(forWritingAtPath: log)
        )
        try await eventually("PgBouncer listens") { !FreePort.isFree(port) || !process.isRunning }
        return (process, "postgresql://holdfast@127.0.0.1:\(port)/holdfast")
    }

    @Test(arguments: ["serve", "work", "migrate"])
    func `a pooler that refuses what a session sets ends the program, which names the setting`(
        command: String
    ) async throws {
        try await TestSystem.with { system in
            let folder = TestServers.makeFolder("pgbouncer")
            let (pooler, url) = try await start(system.stack, in: folder, ignoring: "extra_float_digits")
            let environment = system.environment.merging(["HOLDFAST_DATABASE_URL": url]) { $1 }
            let output = try await Program.run([command], environment: environment, status: 78)
            #expect(output.contains("set ignore_startup_parameters = options in pgbouncer.ini"), "\(output)")
            await pooler.end(with: SIGTERM)
        }
    }

    @Test
    func `a pooler that does not know what was prepared is told of by its setting, and no job is lost`() async throws {
        try await TestSystem.with { system in
            let (pooler, url) = try await start(system.stack, in: TestServers.makeFolder("pgbouncer"))
            let environment = system.environment.merging(["HOLDFAST_DATABASE_URL": url]) { $1 }
            var intakes: [IntakeProcess] = []
            for _ in 0..<2 {
                let port = FreePort.find()
                let program = try Program(["serve", "--port", "\(port)"], environment: environment)
                try await eventually("the intake listens") { !FreePort.isFree(port) || !program.process.isRunning }
                #expect(program.output.contains("A pooler keeps this program's session settings"))
                intakes.append(IntakeProcess(program: program, base: "http://127.0.0.1:\(port)"))
            }
            var stored = 0
            while !intakes.contains(where: {
                $0.program.output.contains("HOLDFAST_DATABASE_PREPARED_STATEMENTS=false, or max_prepared_statements")
            }) {
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<32 {
                        let intake = intakes[number % 2]
                        group.addTask {
                            try await intake.post("/v1/jobs", #"{"key":"k\#(number)","value":"v"}"#).status
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.allSatisfy { $0 == 202 || $0 == 503 }, "\(statuses)")
                stored += statuses.count { $0 == 202 }
            }
            #expect(try await system.count("select count(*) from holdfast.jobs") == stored)
            for intake in intakes { await intake.program.process.end(with: SIGTERM) }
            await pooler.end(with: SIGTERM)
        }
    }

    @Test
    func `everything works, and without notifications by looking`() async throws {
        try await TestSystem.with { system in
            let (pooler, url) = try await start(system.stack, in: TestServers.makeFolder("pgbouncer"))
            var environment = system.environment
            environment["HOLDFAST_DATABASE_URL"] = url
            environment["HOLDFAST_DATABASE_PREPARED_STATEMENTS"] = "false"
            let worker = try Program(["work", "--name", "pooled"], environment: environment)
            let direct = environment.merging(["HOLDFAST_DATABASE_LISTEN_URL": system.stack.databaseURL]) { $1 }
            let listening = try Program(["work", "--name", "listening"], environment: direct)
            let port = FreePort.find()
            let program = try Program(["serve", "--port", "\(port)"], environment: environment)
            let intake = IntakeProcess(program: program, base: "http://127.0.0.1:\(port)")
            try await worker.whileRunning {
                try await listening.whileRunning {
                    try await program.whileRunning {
                        try await eventually("the intake listens") {
                            !FreePort.isFree(port) || !program.process.isRunning
                        }
                        var jobs: [Int64] = []
                        for number in 0..<40 { jobs.append(try await intake.submit("k\(number % 5)", "\(number)")) }
                        for job in jobs { #expect(try await system.outcome(of: job).state == .succeeded) }
                    }
                }
            }
            #expect(try await Program.run(["doctor"], environment: environment).contains("The queue is in order."))
            await pooler.end(with: SIGTERM)
        }
    }
}
