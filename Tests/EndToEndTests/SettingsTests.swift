import Foundation
import LocalStack
import Postgres
import TestSupport
import Testing

/// Settings that cannot be used end the program at once, with status 78 and what to do.
@Suite(.timeLimit(.minutes(2)))
struct SettingsTests {
    private static let away = ["--database-url", "host=/nowhere"]
    private static let node = ["--lock-nodes", "redis://127.0.0.1:1"]

    @Test(arguments: [
        (arguments: ["serve"], says: "--database-url is not set"),
        (["serve", "--database-url", "x=y"], "--database-url"),
        (["serve"] + away, "--lock-nodes is not set"),
        (["work", "--lock-nodes", "http://r1"] + away, "--lock-nodes"),
        (["work", "--lock-nodes", "redis://a,redis://b"] + away, "odd number"),
        (["work", "--lock-nodes", "redis://a,redis://a,redis://b"] + away, "twice"),
        (["work", "--slots", "0"] + away + node, "--slots (HOLDFAST_WORKER_SLOTS) must be"),
        (["serve", "--port", "70000"] + away + node, "--port (HOLDFAST_INTAKE_PORT) must be"),
        (["work", "--keep-history-days", "0"] + away, "--keep-history-days (HOLDFAST_RETENTION_HISTORY_DAYS) must be"),
        (["serve", "--max-connections", "0"] + away, "--max-connections (HOLDFAST_INTAKE_MAX_CONNECTIONS) must be"),
        (["serve", "--body-seconds", "0"] + away, "--body-seconds (HOLDFAST_INTAKE_BODY_SECONDS) must be"),
        (["work", "--health-port", "70000"] + away, "--health-port (HOLDFAST_WORKER_HEALTH_PORT) must be"),
        (["migrate", "--log-level", "loud"], "--log-level must be one of"),
        (["migrate", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
        (["nodes"], "--lock-nodes is not set"),
        (["work", "--queues", ""] + away + node, "names no queue"),
        (["work", "--queues", "*"] + away + node, "no queue should have: \"*\""),
        (["work", "--queues", "default mail"] + away + node, "no queue should have: \"default mail\""),
        (["work", "--queues", "\"default\""] + away + node, "without quotation marks"),
    ])
    func `a wrong setting says which it is`(arguments: [String], says text: String) async throws {
        let output = try await Program.run(arguments, environment: ["HOLDFAST_DATABASE_URL": ""], status: 78)
        #expect(output.contains(text), "\(output)")
        // How the command is spelt is not what is wrong.
        #expect(!output.contains("Usage:"))
    }

    @Test(arguments: [
        ("HOLDFAST_WORKER_SLOT", "HOLDFAST_WORKER_SLOTS"),
        ("HOLDFAST_RETENTION_HISTORY_DAY", "HOLDFAST_RETENTION_HISTORY_DAYS"),
        ("HOLDFAST_DATABASE_LISTENURL", "HOLDFAST_DATABASE_LISTEN_URL"),
    ])
    func `a misspelt variable of the environment is told, with the one that was meant`(
        variable: String,
        meant: String
    ) async throws {
        let output = try await Program.run(["migrate"] + Self.away, environment: [variable: "5"], status: 78)
        #expect(output.contains("no setting \(variable)") && output.contains("did you mean \(meant)?"), "\(output)")
    }

    @Test func `what Kubernetes says of a service called holdfast is no setting`() async throws {
        let links = [
            "HOLDFAST_INTAKE_SERVICE_HOST": "10.0.0.1", "HOLDFAST_INTAKE_SERVICE_PORT_HTTP": "80",
            "HOLDFAST_PORT": "tcp://10.0.0.1:80", "HOLDFAST_PORT_80_TCP_ADDR": "10.0.0.1",
        ]
        let output = try await Program.run(["migrate"] + Self.away, environment: links, status: 1)
        #expect(output.contains("cannot connect"))
    }

    @Test(arguments: [
        ("retention:\n  finshedDays: 3\n", "retention.finshedDays", "retention.finishedDays"),
        ("lock_nodes: [redis://a]\n", "lock_nodes", "lock.nodes"),
    ])
    func `a misspelt key of a configuration file is told, with the one that was meant`(
        yaml: String,
        key: String,
        meant: String
    ) async throws {
        let folder = TestServers.makeFolder("settings")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try yaml.write(toFile: "\(folder)/holdfast.yaml", atomically: true, encoding: .utf8)
        let command = ["migrate", "--config", "\(folder)/holdfast.yaml"] + Self.away
        let output = try await Program.run(command, status: 78)
        #expect(output.contains("no setting \(key)") && output.contains("did you mean \(meant)?"), "\(output)")
    }

    @Test func `one line break at the end of a setting is taken off, as files have it, and a list may have lines`()
        async throws
    {
        let server = try await TestServers.postgres()
        try await server.createDatabase("broken_line")
        let url = server.connectionString(database: "broken_line")
        let output = try await Program.run(["migrate"], environment: ["HOLDFAST_DATABASE_URL": url + "\n"])
        #expect(output.contains("Migrated to version"))
        let list = "redis://127.0.0.1:1,\nredis://127.0.0.1:2,\nredis://127.0.0.1:3\n"
        let nodes = try await Program.run(["nodes"], environment: ["HOLDFAST_LOCK_NODES": list], status: 1)
        #expect(nodes.contains("127.0.0.1:3"))
    }

    @Test func `a line break within a secret is told without the secret`() async throws {
        let url = "postgresql://u:hidden@127.0.0.1/db\nx"
        let output = try await Program.run(["migrate"], environment: ["HOLDFAST_DATABASE_URL": url], status: 78)
        #expect(output.contains("database.url (HOLDFAST_DATABASE_URL) has a line break in it"))
        #expect(!output.contains("hidden"))
    }

    @Test(arguments: [["migrate"], ["serve", "--port", "0"] + node, ["work"] + node, ["jobs", "list"]])
    func `a database that is none to work with ends it, with what to do`(command: [String]) async throws {
        let server = try await TestServers.postgres()
        let name = "latin_\(command[0])"
        let connection = try await PostgresConnection.open(
            PostgresConfiguration(connectionString: server.connectionString()),
            logger: .quiet
        )
        try await connection.executeScript(
            "create database \(name) encoding 'LATIN1' locale 'C' template template0"
        )
        let latin = try await Program.run(
            command,
            environment: ["HOLDFAST_DATABASE_URL": server.connectionString(database: name)],
            status: 78
        )
        #expect(latin.contains("encoding is LATIN1, and must be UTF8"), "\(latin)")
        let missing = try await Program.run(
            command,
            environment: ["HOLDFAST_DATABASE_URL": server.connectionString(database: "nowhere")],
            status: 78
        )
        #expect(missing.contains("SQLSTATE 3D000") && missing.contains("createdb"), "\(missing)")
    }

    @Test func `a database that turns out to be a wrong one once it is there ends a worker that waited for it`()
        async throws
    {
        let server = try await TestServers.makePostgres()
        await server.stop()
        let program = try Program(
            ["work"] + Self.node,
            environment: ["HOLDFAST_DATABASE_URL": server.connectionString(database: "nowhere")]
        )
        try await eventually("it waits") { program.output.contains("Waiting for the database") }
        try await server.start()
        await program.process.waitForExit()
        #expect(program.process.exitStatus == 78)
        #expect(program.output.contains("createdb"))
        // Of an outage one line for each thing that waits, whatever the number of tries.
        #expect(program.output.matches(of: /Waiting for the database/).count <= 2, "\(program.output)")
        await server.stop()
    }
}
