import ArgumentParser
import LocalStack
import Postgres

/// The command `holdfast-bench idle`.
struct IdleCost: Workload {
    static let configuration = CommandConfiguration(
        commandName: "idle",
        abstract: "What an intake and a worker cost that do nothing.",
        discussion: """
            Starts the programs holdfast serve and holdfast work, each as a role of its own, and lets them be. Of each: the \
            part of a core that it used, its resident memory in MB, and the statements a second that PostgreSQL ran for it, \
            as pg_stat_statements counts them.
            """
    )
    static let aims: [Aim] = [.below(1), .below(60, .detail("MB")), .below(5, .detail("statements"))]

    @Option(help: "How long each measurement takes, in seconds.")
    var seconds = 20.0

    @OptionGroup var options: RunOptions

    func validate() throws { try require("--seconds", seconds, in: 1...86_400) }

    /// What one of them has used.
    private struct Cost: Sendable {
        let percent: Double
        let megabytes: Double
        let statements: Double
    }

    func measure(_ report: Report) async throws {
        let program = try HoldfastProgram()
        let settings = ["shared_preload_libraries=pg_stat_statements"]
        // Nodes that have a vote at once, as those that have been there for long.
        try await BenchSystem.with(settings: settings, nodeOptions: RedisServer.persistent) { system in
            let database = system.database
            try await database.pool.withConnection { connection in
                try await connection.executeScript(
                    """
                    create extension pg_stat_statements;
                    alter role holdfast_intake login;
                    alter role holdfast_worker login;
                    """
                )
            }
            let port = FreePort.find()
            let parts = [
                ("intake", "holdfast_intake", ["serve", "--port", "\(port)"]), ("worker", "holdfast_worker", ["work"]),
            ]
            let costs = try await withProcesses { processes in
                for (_, role, arguments) in parts {
                    processes.append(try program.start(arguments, on: system, as: role))
                }
                try await wait(until: "an intake and a worker are there", within: .seconds(60)) {
                    try await database.number("select count(*) from holdfast.live_workers") > 0
                        && !FreePort.isFree(port)
                }
                // Until what is done once, at the start, is done.
                try await Task.sleep(for: .seconds(2))
                var costs: [[Cost]] = []
                for _ in 0..<options.runs {
                    costs.append(try await run(database, of: Array(zip(processes, parts.map(\.1)))))
                }
                return costs
            }
            for (index, (name, _, _)) in parts.enumerated() {
                let own = costs.map { $0[index] }
                var figure = Figure("idle \(name)", "% of a core", own.map(\.percent))
                figure.details = [
                    ("MB", Samples(own.map(\.megabytes)).median), ("statements", Samples(own.map(\.statements)).median),
                ]
                figure.aims = Self.aims
                report(figure)
            }
        }
    }

    private func run(
        _ database: BenchDatabase,
        of parts: [(process: LocalProcess, role: String)]
    ) async throws -> [Cost] {
        _ = try await database.execute("select pg_stat_statements_reset()")
        let before = parts.map { ProcessUsage(of: [$0.process.pid]) }
        let start = ContinuousClock.now
        try await Task.sleep(for: .seconds(seconds))
        let time = start.duration(to: .now).seconds
        let after = parts.map { ProcessUsage(of: [$0.process.pid]) }
        var costs: [Cost] = []
        for (index, part) in parts.enumerated() {
            guard part.process.isRunning else { throw BenchError(description: "\(part.role) has ended by itself") }
            let statements = try await database.number(
                """
                select coalesce(sum(calls), 0)
                from pg_stat_statements
                where userid = (select oid from pg_roles where rolname = '\(part.role)')
                """
            )
            costs.append(
                Cost(
                    percent: (after[index].seconds - before[index].seconds) / time * 100,
                    megabytes: Double(after[index].memory) / 1e6,
                    statements: statements / time
                )
            )
        }
        return costs
    }
}
