import ArgumentParser
import Foundation
import Holdfast
import Postgres
import Redlock

/// The command `holdfast-bench history`.
struct HistoryBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "What a long lock history costs: the queue, those who ask it, and the disk.",
        discussion: """
            Makes a history of so many rows in bulk, spread over the daily partitions of so many days; the default is the \
            400 days for which history is kept. Then, with all of it there:

            jobs       claims, records and settles jobs as holdfast-bench depth does, in turn with nothing else and beside a \
            REPEATABLE READ transaction that stays open, which keeps vacuum from removing what is dead. The ratio of the \
            two says what a long report costs the queue.
            questions  asks who_held(key, at) and job_timeline(job) at random places, over one connection.
            disk       bytes of table and indexes for each job, which has an acquired and a released row.
            seals      seals rows into the hash chain, as the leader does: rows a second, processor time a row, and its part \
            of what a job costs PostgreSQL.

            20 million rows take about 12 GB in the temporary folder (TMPDIR), and some minutes to make. Build it for release.
            """
    )

    @Option(help: "How many rows of history.")
    var rows = 20_000_000

    @Option(help: "Over how many days they are spread.")
    var days = 400

    @Option(help: "On how many keys.")
    var keys = 10_000

    @Option(help: "For how long jobs are settled beside the open transaction, in minutes; and as long without it.")
    var minutes = 2.0

    @Option(help: "Into how many turns that is divided.")
    var turns = 2

    @Option(help: "How many times each question is asked.")
    var probes = 200

    @Option(help: "How many rows are sealed.")
    var seals = 500_000

    @Flag(help: "Print the plans of the questions.")
    var plans = false

    /// Jobs that are stored at once, and settled then.
    private static let portion = 20_000
    private static let votes = (1...3).map {
        Vote(node: "redis-\($0):6379", verdict: .granted, latency: .microseconds(300))
    }

    func validate() throws {
        for (name, value, range) in [
            ("rows", rows, 1000...1_000_000_000), ("days", days, 1...3650), ("keys", keys, 1...10_000_000),
            ("turns", turns, 1...100), ("probes", probes, 2...1_000_000), ("seals", seals, 1000...1_000_000_000),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) must be from \(range.lowerBound) to \(range.upperBound).")
        }
        guard (0.01...1440).contains(minutes) else { throw ValidationError("--minutes must be from 0.01 to 1440.") }
    }

    func run() async throws {
        try await BenchDatabase.with { [self] database in
            try await HistoryRows(database: database, jobs: rows / 2, days: days, keys: keys).make { text in
                // To where nothing is buffered.
                FileHandle.standardError.write(Data("  \(text)\n".utf8))
            }
            try await ask(database)
            let before = try await Self.size(database)
            let jobs = try await measureJobs(database)
            let added = try await Self.size(database)
            let bytes = [Double(added.table - before.table), Double(added.indexes - before.indexes)]
                .map { Int($0 / Double(jobs.count)) }
            print(
                "disk       \(bytes[0] + bytes[1]) bytes of history a job: \(bytes[0]) of table, \(bytes[1]) of indexes"
            )
            try await measureSeals(database, jobSeconds: jobs.seconds)
        }
    }
}

// MARK: - Jobs

extension HistoryBench {
    /// What settling jobs gave.
    private struct Series {
        var rates: [Double] = []
        var jobs = 0
        /// Of the server's processors.
        var seconds = 0.0

        mutating func add(_ other: Series) {
            rates += other.rates
            jobs += other.jobs
            seconds += other.seconds
        }
    }

    /// - Returns: How many jobs were settled, and the processor time that each took PostgreSQL with nothing else, in seconds.
    private func measureJobs(_ database: BenchDatabase) async throws -> (count: Int, seconds: Double) {
        // Once before, so that neither is the first.
        let warmUp = try await settle(database, for: .seconds(0))
        var alone = Series(), beside = Series()
        let time = Duration.seconds(minutes * 60 / Double(turns))
        for _ in 0..<turns {
            alone.add(try await settle(database, for: time))
            let turn = try await database.pool.withTransaction(isolation: .repeatableRead) { reader in
                try await reader.executeScript(
                    "set local idle_in_transaction_session_timeout = 0; select count(*) from holdfast.leaders"
                )
                return try await settle(database, for: time)
            }
            beside.add(turn)
            _ = try await database.execute("vacuum holdfast.jobs, holdfast.key_lines")
        }
        print("jobs             settled/s (min … max)      with an open transaction, for \(time.seconds.short) s each")
        let (without, with) = (Samples(alone.rates), Samples(beside.rates))
        for (name, samples) in [("with nothing", without), ("beside it", with)] {
            print(
                "  \(name.padded(13))  \(Int(samples.median)) (\(Int(samples.minimum)) … \(Int(samples.maximum)))"
            )
        }
        print("  ratio          \((with.median / without.median).short)")
        return (warmUp.jobs + alone.jobs + beside.jobs, alone.seconds / Double(alone.jobs))
    }

    /// Stores and settles portions of jobs for so long, one at least.
    private func settle(_ database: BenchDatabase, for time: Duration) async throws -> Series {
        let loop = RawLoop(database: database, votes: Self.votes)
        let end = ContinuousClock.now.advanced(by: time)
        var series = Series()
        repeat {
            _ = try await loop.store(Self.portion, keys: min(keys, Self.portion))
            let before = try await ServerLoad(of: database)
            series.rates.append(try await loop.settle(Self.portion).rate)
            series.seconds += try await ServerLoad(of: database).seconds(since: before)
            series.jobs += Self.portion
        } while ContinuousClock.now < end
        return series
    }
}

// MARK: - Questions, disk and seals

extension HistoryBench {
    private static let whoHeld = "select * from holdfast.who_held($1, $2)"
    private static let jobTimeline = "select * from holdfast.job_timeline($1)"

    private func ask(_ database: BenchDatabase) async throws {
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
        print("questions        p50, ms   p99, ms   the first   rows")
        try await ask("who_held", Self.whoHeld, held, database)
        try await ask("job_timeline", Self.jobTimeline, jobs.map { [.int64($0)] }, database)
    }

    private func ask(
        _ name: String,
        _ sql: String,
        _ questions: [[Parameter]],
        _ database: BenchDatabase
    ) async throws {
        // A connection that has asked nothing yet, as psql's.
        let pool = PostgresPool(configuration: try database.configuration(), size: 1, logger: database.logger)
        defer { pool.close() }
        _ = try await pool.execute(Statement(name: "connect", sql: "select 1"))
        let statement = Statement(name: name, sql: sql)
        var times: [Double] = []
        var found = 0
        for question in questions {
            let start = ContinuousClock.now
            let answer = try await pool.execute(statement, question, within: .seconds(300))
            times.append(start.duration(to: .now).seconds * 1000)
            found += answer.count
        }
        let sorted = times.sorted()
        let figures = [sorted[sorted.count / 2], sorted[sorted.count * 99 / 100], times[0]]
        print(
            "  \(name.padded(13))  \(figures[0].short.padded(8))  \(figures[1].short.padded(8))  "
                + "\(figures[2].short.padded(10))  \(found) of \(questions.count) questions"
        )
        guard plans else { return }
        let explain = Statement(name: "plan", sql: "explain (analyze, buffers, costs off) \(sql)", isPrepared: false)
        for row in try await pool.execute(explain, questions[0]) { print("    \(try row.decode(String.self, at: 0))") }
    }

    private static func size(_ database: BenchDatabase) async throws -> (table: Int, indexes: Int) {
        let row = try await database.execute(
            """
            select sum(pg_table_size(p.relid))::bigint, sum(pg_indexes_size(p.relid))::bigint
            from pg_partition_tree('holdfast.lock_history') p
            """
        )[0]
        return (try row.decode(Int.self, at: 0), try row.decode(Int.self, at: 1))
    }

    private func measureSeals(_ database: BenchDatabase, jobSeconds: Double) async throws {
        let registry = WorkerRegistry(pool: database.pool)
        let before = try await ServerLoad(of: database)
        let start = ContinuousClock.now
        var sealed = 0
        while sealed < min(seals, rows) {
            let count = try await registry.sealHistory()
            guard count > 0 else { break }
            sealed += count
        }
        let time = start.duration(to: .now).seconds
        let used = try await ServerLoad(of: database).seconds(since: before)
        let bytes = try await database.number("select pg_total_relation_size('holdfast.history_seals')")
        let perRow = used / Double(max(sealed, 1))
        print(
            """
            seals            \(Int(Double(sealed) / time)) rows/s of \(sealed); \((perRow * 1e6).short) µs of a processor and \
            \((bytes / Double(max(sealed, 1))).short) bytes a row
              of a job       \((perRow * 2 * 1e6).short) µs beside \((jobSeconds * 1e6).short) µs for its claim, records and \
            settle: \((perRow * 2 / (perRow * 2 + jobSeconds) * 100).short) % of PostgreSQL's time
            """
        )
    }
}
