import ArgumentParser
import LocalStack
import Postgres

/// The command `holdfast-bench flooded`.
struct Flooded: Workload {
    static let configuration = CommandConfiguration(
        abstract: "Jobs a second of ONE key that is submitted to while it is drained.",
        discussion: """
            Clients POST one job after another to /v1/jobs of the program holdfast serve, all under ONE key, while one \
            worker drains it; the jobs do nothing but their fenced write. The figure is the jobs that finished a second. \
            Beside it are the jobs that were accepted a second, and the 99th percentile of an answer's time, in ms. Both \
            rates are by the database's clock, without the first and the last fifth of the time.

            Afterwards the jobs are counted: the run fails if an accepted job is missing, or if one ran before another that \
            was submitted earlier. There is no ceiling: drain --spread one tells what the key does with nobody submitting.
            """
    )
    static let aims: [Aim] = [.atLeast(4_000), .atLeast(8_000, .detail("accepted"))]

    @Option(help: "How many connections submit at once.")
    var connections = 16

    @Option(help: "How long each run takes, in seconds.")
    var seconds = 20.0

    @OptionGroup var options: RunOptions

    func validate() throws {
        try require("--connections", connections, in: 1...3000)
        try require("--seconds", seconds, in: 0.5...3600)
    }

    /// What a run gave: jobs a second, and ms.
    private struct Rates: Sendable {
        let finished: Double
        let accepted: Double
        let p99: Double
    }

    func measure(_ report: Report) async throws {
        let program = try HoldfastProgram()
        try await BenchSystem.with { system in
            let port = FreePort.find()
            let runs = try await withProcesses { processes in
                processes.append(try program.start(["serve", "--port", "\(port)"], on: system))
                try await wait(until: "the intake listens", within: .seconds(60)) { !FreePort.isFree(port) }
                var runs: [Rates] = []
                for run in 0..<options.runs { runs.append(try await flood(system, port: port, key: "run-\(run)")) }
                return runs
            }
            var figure = Figure("flooded", "jobs/s", runs.map(\.finished))
            figure.details = [
                ("accepted", Samples(runs.map(\.accepted)).median), ("p99", Samples(runs.map(\.p99)).median),
            ]
            figure.aims = Self.aims
            report(figure)
        }
    }

    private func flood(_ system: BenchSystem, port: Int, key: String) async throws -> Rates {
        let database = system.database
        let (begin, answers) = try await system.withWorkers { _ in
            // Until the worker is there, and has done what it does once.
            try await database.fill(1) { _ in "first" }
            try await database.finishAll(within: .seconds(60))
            let begin = try await database.now()
            let answers = try await LoadClient(
                port: port,
                connections: connections,
                duration: .seconds(seconds),
                path: "/v1/jobs",
                contentType: "application/json"
            ) { _, _ in #"{"key":"\#(key)","value":"value","durationMs":0}"# }.run()
            return (begin, answers)
        }
        let counts = try await count(key, in: database, from: begin)
        guard counts.stored == answers.latencies.count, counts.outOfOrder == 0 else {
            throw BenchError(
                description: "of \(answers.latencies.count) accepted jobs \(counts.stored) are there, "
                    + "\(counts.outOfOrder) ran out of order"
            )
        }
        try await database.empty()
        let middle = 0.6 * seconds
        return Rates(
            finished: Double(counts.finished) / middle,
            accepted: Double(counts.accepted) / middle,
            p99: answers.latencies.percentile(99)
        )
    }

    /// What became of a key's jobs: those of the middle of the time, all, and those that ran too early.
    private func count(
        _ key: String,
        in database: BenchDatabase,
        from begin: PostgresTimestamp
    ) async throws -> (finished: Int, accepted: Int, stored: Int, outOfOrder: Int) {
        // The place of a job that joins its line at once is its id.
        let row = try await database.execute(
            """
            with own as (
                select id, submitted_at, finished_at, fence from holdfast.finished_jobs where lock_key = $1
                union all
                select id, submitted_at, null, null from holdfast.jobs where lock_key = $1),
            middle as (
                select $2 + interval '0.2 seconds' * $3 as begin, $2 + interval '0.8 seconds' * $3 as until)
            select count(*) filter (where finished_at >= m.begin and finished_at < m.until),
                   count(*) filter (where submitted_at >= m.begin and submitted_at < m.until),
                   count(*),
                   (select count(*)
                    from (
                        select id, lag(id) over (order by fence) as before
                        from own
                        where finished_at is not null) f
                    where before >= id)
            from own, middle m
            """,
            [.text(key), .timestamp(begin), .double(seconds)]
        )[0]
        return (
            try row.decode(Int.self, at: 0), try row.decode(Int.self, at: 1), try row.decode(Int.self, at: 2),
            try row.decode(Int.self, at: 3)
        )
    }
}
