import Foundation
import LocalStack
import TestSupport
import Testing

/// The parts on machines with addresses of their own, and a cut between some of them.
@Suite(.timeLimit(.minutes(8)))
struct NetworkTests {
    /// Everything but a worker: PostgreSQL, three lock nodes and an intake, each on a machine of its own, and a client.
    private struct Site {
        let network: Network
        let system: TestSystem
        let database: Network.Machine
        let nodes: [Network.Machine]
        let client: Network.Machine
        let intake: String

        /// How the machines reach each other.
        func environment(for role: String) -> [String: String] {
            Site.environment(for: role, database, zip(nodes, system.stack.nodes).map { ($0, $1.port) })
        }

        static func environment(
            for role: String,
            _ database: Network.Machine,
            _ nodes: [(machine: Network.Machine, port: Int)]
        ) -> [String: String] {
            [
                "HOLDFAST_DATABASE_URL": "postgresql://\(role)@\(database.address)/\(LocalStack.database)",
                "HOLDFAST_LOCK_NODES": nodes.map { "redis://\($0.machine.address):\($0.port)" }.joined(separator: ","),
            ]
        }

        /// Starts it on a network, and lends it.
        static func with(_ network: Network, _ body: (Site) async throws -> Void) async throws {
            let database = try await network.makeMachine()
            let folder = TestServers.makeFolder("network")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let access = "local all all trust\nhost all all \(Network.prefix)0/24 trust\n"
            try Data(access.utf8).write(to: URL(filePath: "\(folder)/pg_hba.conf"))
            let postgres = try await TestServers.makePostgres(
                settings: ["listen_addresses=\(database.address)", "hba_file=\(folder)/pg_hba.conf"],
                launcher: database.launcher
            )
            try await postgres.createDatabase(LocalStack.database)
            var nodes: [(machine: Network.Machine, server: RedisServer)] = []
            for _ in 0..<3 {
                let machine = try await network.makeMachine()
                let server = try await TestServers.makeRedis(
                    options: RedisServer.persistent + ["--bind", machine.address, "--protected-mode", "no"],
                    launcher: machine.launcher
                )
                nodes.append((machine, server))
            }
            let stack = LocalStack(folder: folder, postgres: postgres, nodes: nodes.map(\.server))
            try await TestSystem.with(stack) { system in
                let machine = try await network.makeMachine()
                let client = try await network.makeMachine()
                let site = Site(
                    network: network,
                    system: system,
                    database: database,
                    nodes: nodes.map(\.machine),
                    client: client,
                    intake: "http://\(machine.address):3000"
                )
                let intake = try Program(
                    ["serve", "--host", machine.address, "--insecure"],
                    launcher: machine.launcher,
                    environment: site.environment(for: "holdfast_intake")
                )
                try await intake.whileRunning {
                    try await eventually("the intake listens") { intake.output.contains("Intake listens") }
                    try await body(site)
                }
            }
        }

        /// Runs a worker on a machine of its own, and lends both.
        func withWorker(_ name: String, _ body: (Network.Machine, Program) async throws -> Void) async throws {
            let machine = try await network.makeMachine()
            let worker = try Program(
                ["work", "--name", name],
                launcher: machine.launcher,
                environment: environment(for: "holdfast_worker")
            )
            try await worker.whileRunning {
                try await eventually("worker \(name) has registered") {
                    try await system.count("select count(*) from holdfast.workers where name = '\(name)'") > 0
                }
                try await body(machine, worker)
            }
        }

        /// Looks at the dashboard from the client's machine.
        func look(_ tests: String, _ cutOff: [String]) async throws {
            let environment = ["CUT_OFF": cutOff.joined(separator: ",")]
            try await Dashboard.look(at: intake, by: "cut_test", tests, environment, launcher: client.launcher)
        }
    }

    @Test func `a worker that is cut off from two of three lock nodes loses nothing, and the dashboard says so`()
        async throws
    {
        try await Network.with { network in
            guard let network else {
                return print("Not tried: it takes root, and ip of iproute2, to make network namespaces.")
            }
            try await Site.with(network) { site in
                let cutOff = zip(site.nodes, site.system.stack.nodes).dropFirst().map { "\($0.address):\($1.port)" }
                let held = "lock_key = 'held'"
                try await site.withWorker("cut-off") { machine, worker in
                    try await site.look("Before", cutOff)
                    try await eventually("the long job runs there") {
                        try await site.system.count("select count(*) from holdfast.lock_history where \(held)") > 0
                    }
                    try await site.network.cut(machine, from: Array(site.nodes.dropFirst()))
                    try await eventually("its hold is lost") {
                        try await site.system.texts("select event::text from holdfast.lock_history where \(held)")
                            .contains("lost")
                    }
                    try await eventually("the worker knows") { worker.output.contains("No quorum of lock nodes") }
                    try await site.withWorker("whole") { _, _ in
                        try await site.look("During", cutOff)
                        try await site.network.mend(machine, with: Array(site.nodes.dropFirst()))
                        try await eventually("the worker knows") { worker.output.contains("A quorum") }
                        try await site.look("After", cutOff)
                    }
                }
                try await Self.check(site)
            }
        }
    }

    /// Checks that all jobs are done, each key's in order, and that the history is in order.
    private static func check(_ site: Site) async throws {
        let system = site.system
        #expect(try await system.count("select count(*) from holdfast.jobs") == 0)
        #expect(try await system.count("select count(*) from holdfast.finished_jobs where state = 'succeeded'") == 121)
        let early = try await system.texts(
            """
            select lock_key || ': ' || id
            from (
                select lock_key, id, started_at < lag(started_at) over (partition by lock_key order by id) as is_early
                from holdfast.finished_jobs) f
            where is_early
            """
        )
        #expect(early == [])
        let verified = try await Program.run(
            ["audit", "verify"],
            launcher: site.client.launcher,
            environment: site.environment(for: "holdfast_auditor")
        )
        #expect(verified.contains("The history is in order."), "\(verified)")
    }
}
