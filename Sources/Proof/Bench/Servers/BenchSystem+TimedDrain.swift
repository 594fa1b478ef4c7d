import Postgres

/// What a drain of jobs gave whose tasks take some time.
struct TimedDrain: Sendable {
    /// Jobs a second, neither where workers start nor where they run out of jobs.
    let rate: Double
    /// Cores that all servers and workers used, from when all of these worked.
    let cores: Double
    /// Processor time of all of them for each job, in ms.
    let msPerJob: Double
}

extension BenchSystem {
    /// Stores jobs on keys of their own, and lets new worker processes drain them.
    ///
    /// - Parameters:
    ///   - seconds: How long that takes, about.
    ///   - taskMs: How long each task takes, in ms.
    ///   - processes: How many workers.
    ///   - slots: How many tasks each of them runs at once.
    /// - Returns: What it gave.
    /// - Throws: ``BenchError``, or `PostgresError`.
    func drain(for seconds: Double, taskMs: Int, processes: Int, slots: Int) async throws -> TimedDrain {
        let jobs = max(100, Int(Double(processes * slots) * seconds * 1000 / Double(taskMs)))
        let before = try await database.lastID()
        try await database.fill(jobs, durationMs: Int64(taskMs)) { "key-\($0)" }
        let (begin, used, time) = try await withWorkers(processes, slots: slots) { workers in
            try await wait(until: "all workers work", within: .seconds(60)) {
                try await database.number("select count(distinct held_by) from holdfast.key_lines") == Double(processes)
            }
            let (before, start, begin) = (usage(with: workers).seconds, ContinuousClock.now, try await database.now())
            try await database.finishAll(within: .seconds(seconds * 10 + 60))
            return (begin, usage(with: workers).seconds - before, start.duration(to: .now).seconds)
        }
        let row = try await database.execute(
            """
            select (0.8 * count(*) / extract(epoch from
                       percentile_disc(0.9) within group (order by finished_at)
                       - percentile_disc(0.1) within group (order by finished_at)))::double precision,
                   count(*) filter (where finished_at >= $2)
            from holdfast.finished_jobs
            where id > $1
            """,
            [.int64(before), .timestamp(begin)]
        )[0]
        return TimedDrain(
            rate: try row.decode(Double.self, at: 0),
            cores: used / time,
            msPerJob: used * 1000 / Double(try row.decode(Int.self, at: 1))
        )
    }
}
