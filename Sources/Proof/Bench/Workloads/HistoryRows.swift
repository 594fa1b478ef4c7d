import Postgres

/// Makes a long lock history in bulk: one acquired and one released row for each job, over many days.
struct HistoryRows: Sendable {
    /// Jobs in one statement.
    private static let chunk = 50_000

    let database: BenchDatabase
    /// How many jobs; each has two rows.
    let jobs: Int
    let days: Int
    let keys: Int

    /// Makes partitions and rows, and leaves the server nothing to tidy: that would disturb what is measured.
    ///
    /// - Parameter progress: Told what is being done.
    /// - Throws: `PostgresError`, or `CancellationError` when the user interrupts it.
    func make(_ progress: (String) -> Void) async throws {
        _ = try await database.execute(
            "select holdfast.make_partitions(7, $1), holdfast.drop_partitions(30, $1)",
            [.int32(Int32(days))]
        )
        // What is made here has no client who waits for it.
        _ = try await database.execute("alter database postgres set synchronous_commit = off")
        let start = ContinuousClock.now
        var made = 0
        while made < jobs {
            let count = min(Self.chunk, jobs - made)
            try await database.pool.withConnection { connection in
                for statement in Self.statements {
                    _ = try await connection.execute(
                        statement,
                        [
                            .int64(Int64(made)), .int64(Int64(count)), .int64(Int64(jobs)), .int32(Int32(days)),
                            .int64(Int64(keys)),
                        ],
                        within: .seconds(300)
                    )
                }
            }
            made += count
            let rate = Double(made * 2) / start.duration(to: .now).seconds
            progress("\(made * 2) of \(jobs * 2) rows, \(Int(rate)) a second")
        }
        try await tidy(progress)
    }

    private func tidy(_ progress: (String) -> Void) async throws {
        progress("vacuum and analyze")
        let partitions = try await database.execute(
            """
            select c.oid::regclass::text
            from pg_inherits i
            join pg_class c on c.oid = i.inhrelid
            where i.inhparent in ('holdfast.lock_history'::regclass, 'holdfast.finished_jobs'::regclass)
            order by 1
            """
        )
        for row in partitions {
            _ = try await database.execute("vacuum (freeze, analyze) \(try row.decode(String.self, at: 0))")
        }
        _ = try await database.execute(
            "select setval('holdfast.fence', $1), setval('holdfast.jobs_id_seq', $1)",
            [.int64(Int64(jobs) * 2)]
        )
        // By when which numbers had been drawn, as upkeep notes it: what is asked for by number is looked for by that.
        _ = try await database.execute(
            """
            with unknown as (delete from holdfast.drawn_numbers)
            insert into holdfast.drawn_numbers (at, job_id, event_id)
            select date_trunc('day', clock_timestamp(), 'UTC') - ($2 - d) * interval '24 hours', $1 * d / $2 - 1,
                   $1 * d / $2 * 2 - 1
            from generate_series(0, $2) as d
            """,
            [.int64(Int64(jobs)), .int32(Int32(days))]
        )
        _ = try await database.execute("alter database postgres reset synchronous_commit")
        _ = try await database.execute("checkpoint")
    }

    /// The jobs of a chunk: they begin evenly over the days before today, the keys in turn, and take up to 20 s.
    private static let span = """
        from (
            select n, date_trunc('day', clock_timestamp(), 'UTC') - $4 * interval '24 hours'
                       + n * ($4 * interval '24 hours' / $3::double precision) as began,
                   interval '20 seconds' * (hashint8(n) & 1023) / 1024 as took
            from generate_series($1::bigint, $1 + $2 - 1) as n) j
        """

    private static let statements = [
        Statement(
            name: "bench_history",
            sql: """
                insert into holdfast.lock_history
                    (at, event, lock_key, job_id, attempt, worker_id, fence, token_digest, node_set, votes, validity_us,
                     waited_us, held_us, outcome)
                select case when e.begins then j.began else j.began + j.took end,
                       case when e.begins then 'acquired' else 'released' end::holdfast.lock_event, 'key-' || j.n % $5,
                       j.n, 1, 1 + j.n % 4, j.n * 2,
                       case when e.begins then int8send(hashint8(j.n)::bigint) end, s.id,
                       array[1, 200 + j.n % 91, 1, 200 + j.n % 97, 1, 200 + j.n % 89]::smallint[],
                       case when e.begins then 19797000 end, case when e.begins then 300 + j.n % 1000 end,
                       case when not e.begins then extract(epoch from j.took) * 1000000 end,
                       case when not e.begins then 'succeeded' end
                \(span)
                cross join (values (true), (false)) as e(begins)
                cross join (
                    select holdfast.node_set(array['redis-1:6379', 'redis-2:6379', 'redis-3:6379']) as id offset 0) s
                order by j.n, e.begins desc
                """
        ),
        // Only the days that finished jobs are kept for.
        Statement(
            name: "bench_finished_jobs",
            sql: """
                insert into holdfast.finished_jobs
                    (id, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, attempt, max_attempts, state,
                     fence, worker_id, submitted_at, started_at, run_at, finished_at)
                select j.n, 'key-' || j.n % $5, 'lockAndSet', 'v', 'default', 5, 10000, 20000, 1, 20, 'succeeded',
                       j.n * 2, 1 + j.n % 4, j.began - interval '1 second', j.began, j.began - interval '1 second',
                       j.began + j.took
                \(span)
                where j.began >= date_trunc('day', clock_timestamp(), 'UTC') - 30 * interval '24 hours'
                """
        ),
    ]
}
