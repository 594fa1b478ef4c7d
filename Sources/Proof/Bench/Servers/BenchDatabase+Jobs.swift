import Holdfast
import Postgres

extension BenchDatabase {
    /// Stores so many jobs in batches, each under the key of its number.
    func fill(_ jobs: Int, durationMs: Int64 = 0, key: (Int) -> String) async throws {
        let batch = 5000
        for start in stride(from: 0, to: jobs, by: batch) {
            _ = try await store.enqueue(
                (start..<min(jobs, start + batch)).map {
                    try NewJob(key: key($0), value: "v", durationMs: durationMs)
                }
            )
        }
    }

    /// Makes so many jobs wait, each on a key of its own, past the statement that stores them: millions take minutes.
    func makeBacklog(_ jobs: Int) async throws {
        let chunk = 500_000
        for start in stride(from: 0, to: jobs, by: chunk) {
            _ = try await execute(Self.backlog, [.int64(Int64(start)), .int64(Int64(min(jobs, start + chunk) - 1))])
        }
    }

    /// Does what the server would do by itself later, and would disturb what is measured.
    func tidy() async throws {
        _ = try await execute("vacuum (analyze) holdfast.jobs")
        _ = try await execute("vacuum (analyze) holdfast.key_lines")
        _ = try await execute("checkpoint")
    }

    private static let backlog = """
        with n as (
            select nextval('holdfast.jobs_id_seq') as id, 'waiting-' || s as key from generate_series($1, $2) s),
        lines as (
            insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
            select key, 'default', 'lockAndSet', 5, nextval('holdfast.turn'), id from n)
        insert into holdfast.jobs
            (id, place, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, max_attempts)
        select id, id, key, 'lockAndSet', 'v', 'default', 5, 0, 20000, 20
        from n
        """

    /// Takes away all jobs that are left.
    func empty() async throws { _ = try await execute("truncate holdfast.jobs, holdfast.key_lines") }

    /// Waits until so many jobs on keys of their own have been claimed since the server was made.
    ///
    /// A claim draws a fence, and another for its job: to look at their sequence costs the server nothing.
    func claim(_ jobs: Int, within limit: Duration) async throws {
        try await wait(until: "\(jobs) jobs have been claimed", within: limit) {
            try await number("select last_value from holdfast.fence") >= Double(2 * jobs)
        }
    }

    /// Waits until all jobs have finished.
    ///
    /// - Throws: ``BenchError`` when they have not within `limit`.
    func finishAll(within limit: Duration) async throws {
        try await wait(until: "all jobs have finished", within: limit) {
            try await number("select count(*) from (select from holdfast.key_lines limit 1) l") == 0
        }
    }

    /// Jobs a second, from the first hold to the last settle, by the database's clock; of those with higher ids than one.
    func drainRate(after id: Int64, where condition: String = "true") async throws -> Double {
        try await number(
            """
            select count(*) / extract(epoch from max(finished_at) - min(started_at))
            from holdfast.finished_jobs
            where id > \(id) and \(condition)
            """
        )
    }

    /// Jobs a second in each portion of those that have finished; the first is left out, as there workers start.
    ///
    /// A portion's begin and end are left out too: there workers are not busy. Jobs with higher ids than one count.
    func steadyRates(after id: Int64, portion size: Int) async throws -> [Double] {
        try await execute(
            """
            select (0.8 * count(*) / extract(epoch from
                percentile_disc(0.9) within group (order by finished_at)
                - percentile_disc(0.1) within group (order by finished_at)))::double precision
            from (
                select finished_at, (row_number() over (order by finished_at) - 1) / $2 as portion
                from holdfast.finished_jobs
                where id > $1) j
            where portion > 0
            group by portion
            having count(*) = $2
            order by portion
            """,
            [.int64(id), .int64(Int64(size))]
        ).map { try $0.decode(Double.self, at: 0) }
    }
}
