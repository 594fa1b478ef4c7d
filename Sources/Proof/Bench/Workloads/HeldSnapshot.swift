import ArgumentParser
import Postgres

/// The command `holdfast-bench snapshot`.
struct HeldSnapshot: Workload {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Jobs a second while a transaction stays open that keeps vacuum from removing what is dead.",
        discussion: """
            Lets one worker drain jobs that do nothing but their fenced write, each on a key of its own, beside a \
            REPEATABLE READ transaction that was opened before. The figure is the rate in the last fifth of that time; its \
            ceiling is that in the first fifth, and beside it is that in the third.

            The jobs for all that time are made before: 5 minutes of 15,000 jobs/s take about 9 GB in the temporary folder \
            (TMPDIR).
            """
    )
    static let aims: [Aim] = [.atLeast(0.85, .ratio)]

    @Option(help: "How long the transaction stays open, in minutes.")
    var minutes = 5.0

    @OptionGroup var options: RunOptions

    func validate() throws { try require("--minutes", minutes, in: 0.05...1440) }

    func measure(_ report: Report) async throws {
        var runs: [[Double]] = []
        for _ in 0..<options.runs { runs.append(try await BenchSystem.with { try await run($0) }) }
        var figure = Figure("snapshot of \(minutes.short) minutes", "jobs/s", runs.map { $0[4] })
        figure.ceiling = Samples(runs.map { $0[0] })
        figure.details = [("middle", Samples(runs.map { $0[2] }).median)]
        figure.aims = Self.aims
        report(figure)
    }

    /// - Returns: Jobs a second in each fifth.
    private func run(_ system: BenchSystem) async throws -> [Double] {
        let database = system.database
        try await database.makeBacklog(Int(try await topRate(system) * minutes * 60 * 1.5) + 10_000)
        try await database.tidy()
        let begin = try await database.pool.withTransaction(isolation: .repeatableRead) { reader in
            try await reader.executeScript(
                "set local idle_in_transaction_session_timeout = 0; select count(*) from holdfast.duties"
            )
            return try await system.withWorkers { _ in
                try await wait(until: "the worker works", within: .seconds(60)) {
                    try await database.number("select count(*) from holdfast.live_workers") > 0
                }
                // Until its connections are open and its statements prepared.
                try await Task.sleep(for: .seconds(1))
                let begin = try await database.now()
                try await Task.sleep(for: .seconds(minutes * 60))
                guard try await database.number("select count(*) from (select from holdfast.jobs limit 1) j") > 0 else {
                    throw BenchError(description: "all jobs were drained before the time was over")
                }
                return begin
            }
        }
        return try await database.execute(
            """
            select (count(j.finished_at) / ($2 * 12.0))::double precision
            from generate_series(0, 4) as n
            left join holdfast.finished_jobs j
                on j.finished_at >= $1 + n * interval '12 seconds' * $2
                and j.finished_at < $1 + (n + 1) * interval '12 seconds' * $2
            group by n
            order by n
            """,
            [.timestamp(begin), .double(minutes)]
        ).map { try $0.decode(Double.self, at: 0) }
    }

    /// What a worker drains with nothing else, so that there are jobs enough.
    private func topRate(_ system: BenchSystem) async throws -> Double {
        try await system.database.makeBacklog(30_000)
        try await system.withWorkers { _ in try await system.database.finishAll(within: .seconds(600)) }
        return try await system.database.drainRate(after: 0)
    }
}
