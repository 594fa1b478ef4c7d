import ArgumentParser
import Postgres

/// The command `holdfast-bench while-others`.
struct WhileOthers: Workload {
    static let configuration = CommandConfiguration(
        commandName: "while-others",
        abstract: "Jobs a second of ONE key while other keys are drained too.",
        discussion: """
            Stores jobs that do nothing but their fenced write, many on ONE key and some on each of the others, then starts \
            one worker. The figure is the ONE key's jobs a second, by the database's clock; others is the same of all others \
            together, and share how many times the rate of an average one of them the ONE key has: 1 when all are treated \
            alike. Every key has jobs left until the time is over; the run fails if one has not, and then needs a higher \
            --jobs or --depth. There is no ceiling: drain --spread one tells what the key does alone.
            """
    )
    static let aims: [Aim] = [.atLeast(1_000)]

    @Option(help: "How many jobs the ONE key has.")
    var jobs = 100_000

    @Option(help: "How many other keys there are.")
    var others = 1000

    @Option(help: "How many jobs each of them has.")
    var depth = 300

    @Option(help: "How long each run takes, in seconds.")
    var seconds = 5.0

    @OptionGroup var options: RunOptions

    func validate() throws {
        try require("--jobs", jobs, in: 100...10_000_000)
        try require("--others", others, in: 1...1_000_000)
        try require("--depth", depth, in: 1...1_000_000)
        try require("--seconds", seconds, in: 0.1...3600)
    }

    func measure(_ report: Report) async throws {
        try await BenchSystem.with { system in
            var runs: [(one: Double, others: Double)] = []
            for _ in 0..<options.runs { runs.append(try await drain(system)) }
            var figure = Figure("while-others", "jobs/s", runs.map(\.one))
            figure.details = [
                ("others", Samples(runs.map(\.others)).median),
                ("share", Samples(runs.map { $0.one / ($0.others / Double(others)) }).median),
            ]
            figure.aims = Self.aims
            report(figure)
        }
    }

    private func drain(_ system: BenchSystem) async throws -> (one: Double, others: Double) {
        let database = system.database
        try await database.fill(jobs) { _ in "one" }
        try await database.fill(others * depth) { "key-\($0 % others)" }
        try await database.tidy()
        let begin = try await system.withWorkers { _ in
            try await wait(until: "the worker works", within: .seconds(60)) {
                try await database.number("select count(*) from holdfast.key_lines where held_by is not null") > 0
            }
            // Until its connections are open and its statements prepared.
            try await Task.sleep(for: .seconds(1))
            let begin = try await database.now()
            try await Task.sleep(for: .seconds(seconds))
            // A line that is empty is gone.
            guard try await database.number("select count(*) from holdfast.key_lines") == Double(others + 1) else {
                throw BenchError(description: "some keys were drained before the time was over; see --jobs and --depth")
            }
            return begin
        }
        try await database.empty()
        return try await rates(in: database, from: begin)
    }

    private func rates(
        in database: BenchDatabase,
        from begin: PostgresTimestamp
    ) async throws -> (one: Double, others: Double) {
        let row = try await database.execute(
            """
            select (count(*) filter (where lock_key = 'one') / $2)::double precision,
                   (count(*) filter (where lock_key <> 'one') / $2)::double precision
            from holdfast.finished_jobs
            where finished_at >= $1 and finished_at < $1 + interval '1 second' * $2
            """,
            [.timestamp(begin), .double(seconds)]
        )[0]
        return (try row.decode(Double.self, at: 0), try row.decode(Double.self, at: 1))
    }
}
