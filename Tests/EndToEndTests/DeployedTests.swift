import Foundation
import LocalStack
import Postgres
import TestSupport
import Testing

/// What `deploy/` starts, on servers that ask for passwords: with its SQL, its Redis configuration and its settings.
@Suite(.timeLimit(.minutes(3)))
struct DeployedTests {
    private static let nodePassword = "nodes"

    /// Servers as a deployment has them.
    private struct Servers {
        let postgres: PostgresServer
        let nodes: [RedisServer]
        let valueNode: RedisServer

        static func start() async throws -> Servers {
            let configuration = DeploymentFiles.folder.appending(path: "redis/redis.conf").path
            let options = ["--include", configuration, "--requirepass", nodePassword]
            var nodes: [RedisServer] = []
            for _ in 0..<4 { nodes.append(try await TestServers.makeRedis(options: options)) }
            let servers = Servers(
                postgres: try await TestServers.makePostgres(),
                nodes: Array(nodes.dropLast()),
                valueNode: nodes[3]
            )
            try await servers.requirePasswords()
            return servers
        }

        /// Has one administrator, and lets nobody in without a password.
        private func requirePasswords() async throws {
            let first = url("holdfast", "postgres")
            try await script("create role administrator superuser login password 'administrator'", at: first)
            // As administrator: nobody renames himself. The name is the owner's.
            let administrator = url("administrator", "postgres")
            try await script("alter role holdfast rename to initial", at: administrator)
            let access = try #require(FileHandle(forWritingAtPath: "\(postgres.folder)/data/pg_hba.conf"))
            try access.truncate(atOffset: 0)
            try access.write(contentsOf: Data("local all all scram-sha-256\n".utf8))
            try access.close()
            try await script("select pg_reload_conf()", at: administrator)
        }

        func url(_ user: String, _ database: String = "holdfast") -> String {
            postgres.connectionString(database: database, user: user)
        }

        func address(of node: RedisServer) -> String { "redis://:\(nodePassword)@127.0.0.1:\(node.port)" }

        func stop() async {
            for node in nodes + [valueNode] { await node.stop() }
            await postgres.stop()
        }

        private func script(_ sql: String, at url: String) async throws {
            let result = try await psql(["--command", sql, url], [:])
            guard result.status == 0 else { throw Program.Failed(description: result.output) }
        }

        func psql(_ arguments: [String], _ environment: [String: String]) async throws -> Tool.Result {
            let options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"]
            return try await Tool.run(ServerProgram.psql.locate(), options + arguments, environment)
        }

        /// Runs one of the files of `deploy/database`.
        func run(_ file: String, as user: String, _ environment: [String: String]) async throws {
            let path = DeploymentFiles.folder.appending(path: "database/\(file)").path
            let database = user == "administrator" ? "postgres" : "holdfast"
            let result = try await psql(["--file", path, url(user, database)], environment)
            guard result.status == 0, result.output.isEmpty else { throw Program.Failed(description: result.output) }
        }
    }

    private static func with(_ body: (Servers) async throws -> Void) async throws {
        let servers = try await Servers.start()
        do {
            try await body(servers)
        } catch {
            await servers.stop()
            throw error
        }
        await servers.stop()
    }

    private static let owner = ["PGPASSWORD": "owner"]

    /// Makes the owner, the schema by the command that is given, and the users.
    private static func prepare(_ servers: Servers, migrating arguments: [String]) async throws {
        try await servers.run(
            "owner.sql",
            as: "administrator",
            ["PGPASSWORD": "administrator", "OWNER_PASSWORD": "owner"]
        )
        let environment = owner.merging(["HOLDFAST_DATABASE_URL": servers.url("holdfast")]) { $1 }
        try await Program.run(arguments, environment: environment)
        for serve in ["before", "serve"] {
            let passwords = ["SERVE_PASSWORD": serve, "WORK_PASSWORD": "work", "SCALE_PASSWORD": "sc'ale"]
            try await servers.run("logins.sql", as: "holdfast", owner.merging(passwords) { $1 })
        }
    }

    @Test(arguments: ["kubernetes", "compose", "systemd"])
    func `the parts run jobs with the settings and the users that they are deployed with`(kind: String) async throws {
        let parts = try await DeploymentFiles.parts(of: kind)
        try await Self.with { servers in
            try await Self.prepare(servers, migrating: try #require(parts["migrate"]).arguments)
            func start(_ command: String, _ own: [String: String]) throws -> Program {
                let part = try #require(parts[command])
                // Where things are differs; all else is as it is deployed.
                let here = [
                    "HOLDFAST_DATABASE_URL": servers.url("holdfast_\(command)"), "PGPASSWORD": command,
                    "HOLDFAST_LOCK_NODES": servers.nodes.map(servers.address).joined(separator: ","),
                    "HOLDFAST_VALUE_NODE": servers.address(of: servers.valueNode),
                ]
                return try Program(
                    part.arguments,
                    environment: part.environment.merging(here) { $1 }.merging(own) { $1 }
                )
            }
            let (port, healthPort) = (FreePort.find(), FreePort.find())
            let serving = try start("serve", ["HOLDFAST_INTAKE_PORT": "\(port)"])
            let working = try start("work", ["HOLDFAST_WORKER_HEALTH_PORT": "\(healthPort)"])
            let intake = IntakeProcess(program: serving, base: "http://127.0.0.1:\(port)")
            let worker = IntakeProcess(program: working, base: "http://127.0.0.1:\(healthPort)")
            try await working.whileRunning {
                try await serving.whileRunning {
                    for part in [intake, worker] {
                        try await eventually("\(part.base) listens") {
                            !FreePort.isFree(part.port) || !part.program.process.isRunning
                        }
                        #expect(try await part.get("/healthz").status == 200)
                        try await eventually("\(part.base) is ready") { try await part.get("/readyz").status == 200 }
                    }
                    let token = try await Program.run(
                        ["tokens", "create", "shop", "--scopes", "submit,read"],
                        environment: Self.owner.merging(["HOLDFAST_DATABASE_URL": servers.url("holdfast")]) { $1 }
                    )
                    .trimmingCharacters(in: .whitespacesAndNewlines)
                    let body = #"{"key":"k","value":"v","durationMs":1}"#
                    let job = try await eventually("the token is known") {
                        try await intake.post("/v1/jobs", body, token: token).job
                    }
                    let finished = try await intake.get("/v1/jobs/\(job)?wait=60", token: token)
                    #expect(finished.body.contains(#""state":"succeeded""#), "\(finished.body)")
                    #expect(try await intake.get("/v1/jobs/\(job)").status == 401)
                }
            }
        }
    }

    @Test func `users have the passwords that they were given last, and an autoscaler counts lines alone`() async throws
    {
        let query = try await DeploymentFiles.check("query", DeploymentFiles.rendered("keda")).output
        try await Self.with { servers in
            try await Self.prepare(servers, migrating: ["migrate"])
            func ask(_ sql: String, as user: String, _ password: String) async throws -> Tool.Result {
                try await servers.psql(["--command", sql, servers.url(user)], ["PGPASSWORD": password])
            }
            let submitted = "select holdfast.submit(key => 'k' || n % 3, value => '') from generate_series(1, 9) n"
            #expect(try await ask(submitted, as: "holdfast_serve", "serve").status == 0)
            #expect(try await ask("select", as: "holdfast_serve", "before").output.contains("authentication failed"))
            _ = try await ask("select holdfast.promote('-infinity', '-infinity', 100)", as: "holdfast_work", "work")
            let lines = try await ask("select count(*) from holdfast.key_lines", as: "holdfast", "owner")
            #expect(lines.output == "3\n")
            // More workers are no help to a kind that none of them takes.
            let worker = """
                insert into holdfast.workers (id, name, queues, kinds, slots)
                values (1, 'w', '{default}', '{lockAndSet}', 1)
                """
            #expect(try await ask(query, as: "holdfast_scale", "sc'ale").output == "0\n")
            #expect(try await ask(worker, as: "holdfast", "owner").status == 0)
            #expect(try await ask(query, as: "holdfast_scale", "sc'ale").output == lines.output)
            for table in ["jobs", "tokens", "lock_history"] {
                let refused = try await ask("select from holdfast.\(table)", as: "holdfast_scale", "sc'ale")
                #expect(refused.output.contains("permission denied"))
            }
            #expect(try await ask("select holdfast.pause('default')", as: "holdfast", "owner").status == 0)
            #expect(try await ask(query, as: "holdfast_scale", "sc'ale").output == "0\n")
        }
    }

    @Test func `a Redis node that is configured as said persists every write, and evicts nothing`() async throws {
        try await Self.with { servers in
            let port = servers.valueNode.port
            let wanted = ["appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""]
            for (setting, value) in wanted {
                let told = try await Tool.run(
                    URL(filePath: "/usr/bin/redis-cli"),
                    ["-p", "\(port)", "config", "get", setting],
                    ["REDISCLI_AUTH": Self.nodePassword]
                )
                #expect(told.output == "\(setting)\n\(value)\n")
            }
        }
    }
}
