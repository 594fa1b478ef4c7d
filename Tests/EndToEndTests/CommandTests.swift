import Foundation
import LocalStack
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CommandTests {
    @Test(arguments: [
        (arguments: ["serve", "--require-tokens", "--insecure"], says: "exclude each other"),
        (["serve", "--prot", "1"], "--prot"),
        (["queues", "limit", "default", "--jobs", "-1"], "--jobs must be from 0 to 1000000000, and is -1"),
        (
            ["tokens", "create", "a", "--scopes", "submit,write"],
            "must be of submit, read, operate and metrics, and has write"
        ),
        (["tokens", "create", "a", "--scopes", ","], "--scopes must name at least one"),
        (["tokens", "create", "", "--scopes", "read"], "1 to 128 bytes"),
        (["tokens", "create", "a", "--scopes", "read", "--expires-days", "0"], "--expires-days must be"),
        (["dev", "--port", "-1"], "--port"),
        (["jobs", "submit", "k"], "Give a key and a value, or --file"),
        (["jobs", "submit", "k", "v", "--priority", "10"], "--priority must be from 0 to 9"),
        (["jobs", "submit", "k", "v", "--lock-ttl-ms", "1"], "--lock-ttl-ms must be from 1000 to 60000"),
        (["jobs", "submit", "k", "v", "--metadata", "1,\"key\":\"x\""], "--metadata"),
        (["jobs", "submit", "locks:k", "v"], "The key must"),
        (["jobs", "submit", "k", "v", "--file", "-"], "With --file"),
        (["jobs", "submit", "--file", "/nowhere", "--database-url", "host=/nowhere"], "/nowhere cannot be read"),
        (["jobs", "wait"], "Name the jobs, or say --all"),
        (["jobs", "wait", "x"], "x is not the number of a job"),
        (["jobs", "list", "--state", "odd"], "odd is none"),
        (["jobs", "retry", "1", "--queue", "q"], "are for --failed"),
        (["top", "--database-url", "host=/nowhere"], "There is no terminal"),
    ])
    func `a wrong command says what is wrong`(arguments: [String], says text: String) async throws {
        let output = try await Program.run(arguments, environment: ["HOLDFAST_DATABASE_URL": ""], status: 64)
        #expect(output.contains(text), "\(output)")
    }

    @Test func `a folder where a file belongs, and an output that is full, are named`() async throws {
        let folder = ["jobs", "submit", "--file", "/tmp", "--database-url", "host=/nowhere"]
        let output = try await Program.run(folder, status: 64)
        #expect(output.contains("--file: /tmp cannot be read: Is a directory"), "\(output)")
        let nodes = "nodes --json --lock-nodes redis://127.0.0.1:1"
        let shell = "\(Program.executable.path) \(nodes) 2>&1 >/dev/full"
        let full = try await Tool.run(URL(filePath: "/bin/sh"), ["-c", shell]).output
        #expect(full.contains("No space left on device") && !full.contains("NSCocoaErrorDomain"), "\(full)")
    }

    @Test(arguments: [
        [], ["dev"], ["serve"], ["work"], ["migrate"], ["doctor"], ["queues"], ["queues", "pause"],
        ["queues", "limit"], ["audit"], ["audit", "verify"], ["audit", "head"], ["audit", "export"],
        ["audit", "sql"], ["history"], ["jobs"], ["jobs", "submit"], ["jobs", "list"], ["jobs", "show"],
        ["jobs", "wait"], ["jobs", "cancel"], ["jobs", "retry"], ["queues", "list"], ["workers"], ["nodes"],
        ["nodes", "tidy"], ["top"],
        ["tokens"], ["tokens", "create"], ["tokens", "list"], ["tokens", "revoke"],
    ])
    func `help is worth reading`(command: [String]) async throws {
        let output = try await Program.run(command + ["--help"])
        #expect(output.contains("USAGE: holdfast"))
        #expect(!output.contains("end-with-parent"))
    }

    @Test(arguments: [
        ["serve", "--insecure", "--port", "0", "--host", "192.0.2.1"],
        ["work", "--health-port", "0", "--health-host", "192.0.2.1"],
    ])
    func `an address that is none of this machine's is named`(command: [String]) async throws {
        let output = try await Program.run(
            command + ["--database-url", "host=/nowhere", "--lock-nodes", "redis://127.0.0.1:1"],
            status: 1
        )
        #expect(output.contains("Error: cannot listen on 192.0.2.1, port 0: "))
    }

    @Test(arguments: [["jobs", "list"], ["migrate"], ["audit", "verify"]])
    func `a database that is away is told of once`(command: [String]) async throws {
        let output = try await Program.run(command + ["--database-url", "host=/nowhere"], status: 1)
        #expect(output.matches(of: /cannot connect/).count == 1, "\(output)")
    }

    @Test func `a database that is away is named, without its password`() async throws {
        let output = try await Program.run(
            ["migrate", "--database-url", "postgresql://u:secret@127.0.0.1:1/db"],
            status: 1
        )
        #expect(output.contains("cannot connect"))
        #expect(!output.contains("secret"))
    }

    @Test(arguments: ["serve", "work"])
    func `a database that was not migrated is refused, with what to do`(command: String) async throws {
        let server = try await TestServers.postgres()
        try await server.createDatabase("bare_\(command)")
        let output = try await Program.run(
            [command, "--lock-nodes", "redis://127.0.0.1:1"],
            environment: ["HOLDFAST_DATABASE_URL": server.connectionString(database: "bare_\(command)")],
            status: 78
        )
        #expect(output.contains("run holdfast migrate"))
    }

    @Test func `settings come from a flag, else the environment, else a file`() async throws {
        let folder = TestServers.makeFolder("settings")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let file = "\(folder)/holdfast.yaml"
        let server = try await TestServers.postgres()
        try await server.createDatabase("from_file")
        try await server.createDatabase("from_environment")
        let yaml = "database:\n  url: '\(server.connectionString(database: "from_file"))'\n"
        try yaml.write(toFile: file, atomically: true, encoding: .utf8)
        let fromFile = try await Program.run(["migrate", "--config", file])
        #expect(fromFile.contains("Migrated to version"))
        let environment = ["HOLDFAST_DATABASE_URL": server.connectionString(database: "from_environment")]
        let fromEnvironment = try await Program.run(["migrate", "--config", file], environment: environment)
        #expect(fromEnvironment.contains("Migrated to version"))
        let fromFlag = try await Program.run(
            ["migrate", "--database-url", server.connectionString(database: "from_file")],
            environment: environment
        )
        #expect(fromFlag.contains("up to date"))
    }

    @Test func `JSON logs are one object a line`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let output = try await system.withWorker(
                    "logging",
                    arguments: ["--log-format", "json", "--log-level", "debug"]
                ) { worker in
                    let answer = try await intake.post(
                        "/v1/jobs",
                        #"{"key":"a 'quoted'\nkey","value":"v","durationMs":0}"#,
                        ["traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]
                    )
                    _ = try await system.outcome(of: try #require(answer.job))
                    return worker.output
                }
                let lines = try output.split(separator: "\n").map { line in
                    try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
                }
                let acquired = try #require(lines.first { $0["message"] == "Lock acquired" })
                #expect(acquired["job.key"] == "a 'quoted'\nkey")
                #expect(acquired["job.fence"] != nil && acquired["job.id"] != nil && acquired["worker.id"] != nil)
                #expect(acquired["lock.votes"] == "granted,granted,granted")
                #expect(acquired["trace.id"] == "4bf92f3577b34da6a3ce929d0e0e4736")
            }
        }
    }

    @Test func `tokens are made once by their name, listed, and revoked once`() async throws {
        try await TestSystem.with { system in
            func run(_ arguments: String..., status: Int32 = 0) async throws -> String {
                try await Program.run(["tokens"] + arguments, environment: system.environment, status: status)
            }
            #expect(try await run("list").contains("There are no tokens"))
            let token = try await run("create", "shop", "--scopes", "submit, read", "--expires-days", "90")
            #expect(token.hasPrefix("hft_1_") && token.split(separator: "\n").count == 1)
            #expect(try await run("create", "shop", "--scopes", "read", status: 1).contains("revoke it first"))
            let json = try await run("create", "other", "--scopes", "operate", "--json")
            #expect(json.contains(#""name":"other""#) && json.contains(#""scopes":["operate"]"#))
            let list = try await run("list")
            #expect(list.contains("shop  read,submit  made 20") && list.contains("expires 20"))
            #expect(try await run("revoke", "shop").contains("Token shop is revoked."))
            #expect(try await run("revoke", "shop", status: 1).contains("There is no token shop that is not revoked"))
            #expect(try await run("list").contains("revoked 20"))
        }
    }

    @Test func `operators pause, limit and resume a queue, and repair lines`() async throws {
        try await TestSystem.with { system in
            func run(_ arguments: String..., status: Int32 = 0) async throws -> String {
                try await Program.run(arguments, environment: system.environment, status: status)
            }
            #expect(try await run("queues", "pause", "default").contains("Queue default is paused."))
            #expect(try await run("queues", "limit", "default", "--line", "5").contains("5 jobs of a key"))
            let queue = "select count(*) from holdfast.queues where paused_at is not null and line_limit = 5"
            #expect(try await system.count(queue) == 1)
            try await system.withIntake { intake in
                for number in 1...5 { _ = try await intake.submit("k", "\(number)") }
                let refused = try await intake.post("/v1/jobs", #"{"key":"k","value":"6"}"#)
                #expect(refused.status == 429 && refused.headers["retry-after"] == "1")
                #expect(refused.body.contains("the line of key k is full"))
                _ = try await intake.submit("other", "1")
            }
            _ = try await run("queues", "resume", "default")
            #expect(try await system.count(queue) == 0)
            #expect(try await run("doctor").contains("The queue is in order."))
            _ = try await system.texts(
                """
                insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
                values ('empty', 'default', 'lockAndSet', 5, 1, 1) returning lock_key
                """
            )
            #expect(try await run("doctor", status: 1).contains("line without jobs: key empty"))
            #expect(try await run("doctor", "--json", status: 1).contains(#""problem":"line without jobs""#))
            #expect(try await run("doctor", "--repair").contains("Lines put in order: 1."))
            #expect(try await run("doctor").contains("The queue is in order."))
        }
    }
}
