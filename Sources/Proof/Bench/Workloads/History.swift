import ArgumentParser
import Holdfast
import Postgres
import Redlock
import Worker

/// The command `holdfast-bench history`.
struct History: Workload {
    static let configuration = CommandConfiguration(
        abstract: "What a long lock history costs: the queue, those who ask it, and the disk.",
        discussion: """
            Makes a history of so many rows in bulk, spread over the daily partitions of so many days; the default is the \
            400 days for which history is kept. Then, with all of it there:

            jobs          claims, records and settles jobs with nothing around them, beside a REPEATABLE READ transaction \
            that stays open, which keeps vacuum from removing what is dead; the ceiling is the same without it, in turn. \
            Beside it are the bytes of table and of indexes that a job adds, with its acquired and its released row.
            who_held      asks who_held(key, at) at random places, over one connection; first is the first answer's time.
            job_timeline  asks job_timeline(job) likewise.
            seals         seals rows into the hash chain, as workers do. Beside it are the bytes and the processor \
            time, in µs, of a row, and its part of what a job costs PostgreSQL, in percent.

            20 million rows take about 12 GB in the temporary folder (TMPDIR), and some minutes to make.
            """
    )

    @Option(help: "How many rows of history.")
    var rows = 20_000_000

    @Option(help: "Over how many days they are spread.")
    var days = 400

    @Option(help: "On how many keys.")
    var keys = 10_000

    @Option(help: "For how long jobs are settled in each run, in minutes; and as long without the transaction.")
    var minutes = 1.0

    @Option(help: "How many times each question is asked.")
    var probes = 200

    @Option(help: "How many rows are sealed.")
    var seals = 500_000

    @OptionGroup var options: RunOptions

    /// Jobs that are stored at once, and settled then.
    private static let portion = 20_000
    private static let votes = (1...3).map {
        Vote(node: "redis-\($0):6379", verdict: .granted, latency: .microseconds(300))
    }

    func validate() throws {
        try require("--rows", rows, in: 1000...1_000_000_000)
        try require("--days", days, in: 1...3650)
        try require("--keys", keys, in: 1...10_000_000)
        try require("--minutes", minutes, in: 0.01...1440)
        try require("--probes", probes, in: 2...1_000_000)
        try require("--seals", seals, in: 1000...1_000_000_000)
    }

    func measure(_ report: Report) async throws {
        try await BenchDatabase.with { database in
            try await HistoryRows(database: database, jobs: rows / 2, days: days, keys: keys).make {
                Report.say("  \($0)")
            }
            try await ask(database, report)
            let jobSeconds = try await measureJobs(database, report)
            report(try await measureSeals(database, jobSeconds: jobSeconds))
        }
    }
}

// MARK: - Jobs

extension History {
    /// What settling jobs gave.
    private struct Series {
        var rates: [Double] = []
        var jobs = 0
        /// Of the server's processors.
        var seconds = 0.0
    }

    /// - Returns: The processor time that a job takes PostgreSQL with nothing else, in seconds.
    private func measureJobs(_ database: BenchDatabase, _ report: Report) async throws -> Double {
        let before = try await size(database)
        // Once before, so that neither is the first.
        var jobs = try await settle(database, for: .zero).jobs
        var alone: [Double] = []
        var beside: [Double] = []
        var costs: [Double] = []
        for _ in 0..<options.runs {
            let without = try await settle(database, for: .seconds(minutes * 60))
            alone.append(Samples(without.rates).median)
            costs.append(without.seconds / Double(without.jobs))
            let with = try await database.pool.withTransaction(isolation: .repeatableRead) { reader in
                try await reader.executeScript(
                    "set local idle_in_transaction_session_timeout = 0; select count(*) from holdfast.duties"
                )
                return try await settle(database, for: .seconds(minutes * 60))
            }
            beside.append(Samples(with.rates).median)
            _ = try await database.execute("vacuum holdfast.jobs, holdfast.key_lines")
            jobs += without.jobs + with.jobs
        }
        let after = try await size(database)
        var figure = Figure("history, jobs", "jobs/s", beside)
        figure.ceiling = Samples(alone)
        figure.details = [
            ("tableBytes", Double(after.table - before.table) / Double(jobs)),
            ("indexBytes", Double(after.indexes - before.indexes) / Double(jobs)),
        ]
        report(figure)
        return Samples(costs).median
    }

    /// Stores and settles portions of jobs for so long, one at least.
    private func settle(_ database: BenchDatabase, for time: Duration) async throws -> Series {
        var loop = try await RawLoop(database, runLimit: WorkerConfiguration().runLimit, votes: Self.votes)
        let end = ContinuousClock.now.advanced(by: time)
        var series = Series()
        repeat {
            try await database.fill(Self.portion) { "key-\($0 % min(keys, Self.portion))" }
            let before = database.usage
            series.rates.append(try await loop.settle(Self.portion))
            series.seconds += database.usage.seconds - before.seconds
            series.jobs += Self.portion
        } while ContinuousClock.now < end
        return series
    }

    private func size(_ database: BenchDatabase) async throws -> (table: Int, indexes: Int) {
        let row = try await database.execute(
            """
            select sum(pg_table_size(p.relid))::bigint, sum(pg_indexes_size(p.relid))::bigint
            from pg_partition_tree('holdfast.lock_history') p
            """
        )[0]
        return (try row.decode(Int.self, at: 0), try row.decode(Int.self, at: 1))
    }
}

// MARK: - Questions and seals

extension History {
    private func ask(_ database: BenchDatabase, _ report: Report) async throws {
        let jobs = (0..<probes).map { _ in Int64.random(in: 0..<Int64(rows / 2)) }
        let moments = try await database.execute(
            """
            select h.lock_key, h.at + random() * interval '20 seconds'
            from unnest($1::bigint[]) as j(id)
            cross join lateral (
                select * from holdfast.lock_history l where l.job_id = j.id and l.event = 'acquired') h
            """,
            [.int64s(jobs)]
        )
        let held = try moments.map { row -> [Parameter] in
            [.text(try row.decode(String.self, at: 0)), .timestamp(try row.decode(PostgresTimestamp.self, at: 1))]
        }
        report(try await ask("who_held", "select * from holdfast.who_held($1, $2)", held, database))
        report(
            try await ask(
                "job_timeline",
                "select * from holdfast.job_timeline($1)",
                jobs.map { [.int64($0)] },
                database
            )
        )
    }

    private func ask(
        _ name: String,
        _ sql: String,
        _ questions: [[Parameter]],
        _ database: BenchDatabase
    ) async throws -> Figure {
        var runs: [Latencies] = []
        var first: [Double] = []
        for _ in 0..<options.runs {
            // A connection that has asked nothing yet, as psql's.
            let pool = PostgresPool(configuration: try database.configuration(), size: 1, logger: database.logger)
            defer { pool.close() }
            _ = try await pool.execute(Statement(name: "connect", sql: "select 1"))
            var latencies = Latencies()
            for question in questions {
                let start = ContinuousClock.now
                let answer = try await pool.execute(Statement(name: name, sql: sql), question, within: .seconds(300))
                let time = start.duration(to: .now)
                guard !answer.isEmpty || name == "who_held" else {
                    throw BenchError(description: "\(name) found nothing")
                }
                if latencies.count == 0 { first.append(time.seconds * 1000) }
                latencies.record(time)
            }
            runs.append(latencies)
        }
        var figure = Figure("history, \(name)", runs)
        figure.details.append(("first", Samples(first).median))
        return figure
    }

    private func measureSeals(_ database: BenchDatabase, jobSeconds: Double) async throws -> Figure {
        let registry = WorkerRegistry(pool: database.pool)
        let (before, start) = (database.usage, ContinuousClock.now)
        var sealed = 0
        while sealed < min(seals, rows) {
            let count = try await registry.sealHistory()
            guard count > 0 else { break }
            sealed += count
        }
        guard sealed > 0 else { throw BenchError(description: "nothing was sealed") }
        let time = start.duration(to: .now).seconds
        let perRow = (database.usage.seconds - before.seconds) / Double(sealed)
        let bytes = try await database.number("select pg_total_relation_size('holdfast.history_seals')")
        var figure = Figure("history, seals", "rows/s", [Double(sealed) / time])
        figure.details = [
            ("bytes", bytes / Double(sealed)), ("µs", perRow * 1e6),
            // Each job has two.
            ("percentOfJob", perRow * 2 / (perRow * 2 + jobSeconds) * 100),
        ]
        return figure
    }
}
