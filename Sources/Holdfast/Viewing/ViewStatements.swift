import Postgres

/// The statements that show the queue and the history; each row is a JSON text, besides those of ``jobs``.
enum ViewStatements {
    /// Jobs by number, the highest first.
    ///
    /// Both tables are read along their indexes of numbers, or those of keys, until there are enough. It is planned anew each
    /// time, so that filters that are not given cost nothing.
    static let jobs = Statement(
        name: "list_jobs",
        sql: """
            select *
            from (
                (select *
                from (
                    select \(QueueStatements.unfinishedColumns)
                    from holdfast.jobs j
                    \(QueueStatements.holdOfJob)) u
                where ($1::text[] = '{}' or u.state = any ($1)) and ($2::text is null or u.lock_key = $2)
                    and ($3::text is null or u.queue = $3) and ($4::text is null or u.kind = $4)
                    and ($5::timestamptz is null or u.submitted_at > $5)
                    and ($6::timestamptz is null or u.submitted_at < $6) and ($7::bigint is null or u.id < $7)
                order by u.id desc
                limit $8)
                union all
                (select \(QueueStatements.finishedColumns)
                from holdfast.finished_jobs f
                where ($1::text[] = '{}' or f.state = any ($1)) and ($2::text is null or f.lock_key = $2)
                    and ($3::text is null or f.queue = $3) and ($4::text is null or f.kind = $4)
                    and ($5::timestamptz is null or f.submitted_at > $5)
                    and ($6::timestamptz is null or f.submitted_at < $6) and ($7::bigint is null or f.id < $7)
                order by f.id desc
                limit $8)) j
            order by j.id desc
            limit $8
            """,
        isPrepared: false
    )

    static let why = Statement(
        name: "why_waiting",
        sql: """
            select json_strip_nulls(json_build_object(
                'cause', w.cause, 'detail', w.detail, 'job', w.other_job, 'ahead', w.ahead,
                'since', holdfast.rfc3339(w.since), 'until', holdfast.rfc3339(w.until)))::text
            from holdfast.why_waiting($1) w
            """
    )

    static let jobEvents = Statement(
        name: "job_events",
        sql: """
            with own as materialized (select h from holdfast.lock_history h where h.job_id = $1),
            -- Under a hold that another job passed on, it has no acquisition of its own: see holdfast.job_timeline.
            passed_on as (
                select a.h
                from own o
                cross join lateral (
                    select l.h
                    from (
                        select x as h
                        from holdfast.lock_history x
                        where x.lock_key = (o.h).lock_key and x.event = 'acquired'
                            and x.at <= (o.h).at and x.at >= (o.h).at - interval '8 days'
                        order by x.at desc
                        limit 8) l
                    where (o.h).fence = any ((l.h).fences)
                    order by (l.h).at desc
                    limit 1) a
                where holdfast.is_end((o.h).event) and not exists (
                    select from own f where (f.h).event = 'acquired' and (f.h).fence = (o.h).fence))
            select holdfast.event_json(e.h)
            from (select h from own union all select h from passed_on) e
            order by (e.h).at, (e.h).id
            limit 10000
            """
    )

    static let attempts = Statement(
        name: "job_attempts",
        sql: """
            select json_strip_nulls(json_build_object(
                'attempt', a.attempt, 'worker', a.worker_id, 'fence', a.fence,
                'startedAt', holdfast.rfc3339(a.started_at), 'endedAt', holdfast.rfc3339(a.ended_at),
                'outcome', a.outcome, 'reason', a.reason))::text
            from holdfast.job_attempts a
            where a.job_id = $1
            order by a.started_at, a.fence
            limit 10000
            """
    )

    static let keyEvents = Statement(
        name: "key_events",
        sql: """
            select holdfast.event_json(h), h.id::text
            from holdfast.lock_history h
            where h.lock_key = $1 and ($2::bigint is null or h.id < $2)
            order by h.id desc
            limit $3
            """,
        isPrepared: false
    )

    /// The events of a span of time, the latest first; by time alone, as an order by number would read all that is later.
    static let spanEvents = Statement(
        name: "span_events",
        sql: """
            select holdfast.event_json(h), holdfast.rfc3339(h.at) || ' ' || h.id
            from holdfast.lock_history h
            where h.at >= $1 and h.at < $2 and ($3::text is null or h.lock_key = $3)
                and ($4::timestamptz is null or (h.at, h.id) < ($4, $5::bigint))
            order by h.at desc, h.id desc
            limit $6
            """,
        isPrepared: false
    )

    /// The unfinished jobs that have come before a moment, the newest first, from when on each could have run.
    static let unfinishedWaits = Statement(
        name: "unfinished_waits",
        sql: """
            select json_build_object(
                'job', j.id, 'key', j.lock_key, 'queue', j.queue,
                'since', holdfast.rfc3339(greatest(j.submitted_at, j.run_at)))::text
            from holdfast.jobs j
            where greatest(j.submitted_at, j.run_at) < least($1, now()) and ($2::text is null or j.lock_key = $2)
            order by j.id desc
            limit $3
            """,
        isPrepared: false
    )

    /// The jobs that finished in a span of time, the latest first.
    static let finishedWaits = Statement(
        name: "finished_waits",
        sql: """
            select json_strip_nulls(json_build_object(
                'job', f.id, 'key', f.lock_key, 'queue', f.queue,
                'since', holdfast.rfc3339(greatest(f.submitted_at, f.run_at)),
                'startedAt', holdfast.rfc3339(f.started_at), 'finishedAt', holdfast.rfc3339(f.finished_at),
                'state', f.state))::text
            from holdfast.finished_jobs f
            where f.finished_at >= $1 and f.finished_at < $2 and ($3::text is null or f.lock_key = $3)
            order by f.finished_at desc
            limit $4
            """,
        isPrepared: false
    )

    /// How many jobs of each queue have finished in each 5 seconds of the last 5 minutes; the last 5 seconds still run.
    static let throughput = Statement(
        name: "throughput",
        sql: """
            with steps as (
                select n, floor(extract(epoch from now()) / 5) - 59 + n as step
                from generate_series(0, 59) as n),
            finished as materialized (
                select f.queue, f.state, floor(extract(epoch from f.finished_at) / 5) as step, count(*) as jobs
                from holdfast.finished_jobs f
                where f.finished_at >= to_timestamp((floor(extract(epoch from now()) / 5) - 59) * 5)
                group by 1, 2, 3)
            select json_build_object(
                'queue', q.queue,
                'succeeded', json_agg(coalesce(f.succeeded, 0) order by s.n),
                'failed', json_agg(coalesce(f.failed, 0) order by s.n),
                'cancelled', json_agg(coalesce(f.cancelled, 0) order by s.n))::text
            from (select distinct queue from finished) q
            cross join steps s
            left join lateral (
                select sum(jobs) filter (where state = 'succeeded') as succeeded,
                       sum(jobs) filter (where state = 'failed') as failed,
                       sum(jobs) filter (where state = 'cancelled') as cancelled
                from finished
                where finished.queue = q.queue and finished.step = s.step) f on true
            group by q.queue
            order by q.queue
            """,
        isPrepared: false
    )

    static let now = Statement(name: "now", sql: "select holdfast.rfc3339(clock_timestamp())")

    /// A key's line, and who holds it; the line's length is counted up to 100,000.
    static let line = Statement(
        name: "key_line",
        sql: """
            select json_strip_nulls(json_build_object(
                'length', coalesce(n.length, 0), 'head', n.head,
                'readyAt', holdfast.rfc3339(coalesce(k.due_at, k.ready_at)),
                'foreignHolderSince', case when c.job_id is null then holdfast.rfc3339(k.waiting_since) end,
                'holder', case when c.job_id is null then null else json_build_object(
                    'job', c.job_id, 'worker', c.worker_id, 'fence', c.fence, 'since', holdfast.rfc3339(c.began_at)) end)
                )::text
            from (select $1::text as lock_key) l
            left join holdfast.key_lines k on k.lock_key = l.lock_key
            left join lateral (
                select count(*) as length, (array_agg(j.id order by j.place))[1] as head
                from (
                    select j.id, j.place
                    from holdfast.jobs j
                    where j.lock_key = k.lock_key and j.place >= k.head_place
                    order by j.place
                    limit 100000) j) n on true
            left join lateral holdfast.current_hold(k) c on true
            """
    )

    /// What runs on each claimed line.
    static let locks = Statement(
        name: "current_locks",
        sql: """
            select json_strip_nulls(json_build_object(
                'key', k.lock_key, 'job', c.job_id, 'attempt', c.attempt, 'worker', c.worker_id, 'fence', c.fence,
                'since', holdfast.rfc3339(c.began_at), 'votes', holdfast.votes_json(c.votes, c.node_set)))::text, k.lock_key
            from holdfast.key_lines k
            cross join lateral holdfast.current_hold(k) c
            where k.held_by is not null and ($1::text is null or k.lock_key > $1)
            order by k.lock_key
            limit $2
            """,
        isPrepared: false
    )

    /// The queues that have jobs, or that an operator has said something of: `q`, `j` and `l`; `$1` is one, or null.
    private static let fromQueues = """
        from (
            select j.queue as name, count(*) as depth,
                   count(*) filter (where j.place is null and j.run_at > now()) as scheduled
            from holdfast.jobs j
            where $1::text is null or j.queue = $1
            group by j.queue) j
        full join (
            select *
            from holdfast.queues q
            where $1::text is null or q.name = $1) q using (name)
        left join lateral (
            select count(*) filter (where k.held_by is null and k.turn is not null) as ready,
                   count(*) filter (where k.held_by is not null) as running,
                   (extract(epoch from now() - min(k.ready_at) filter (where k.held_by is null and k.turn is not null))
                       * 1000)::bigint as oldest_wait_ms
            from holdfast.key_lines k
            where k.queue = name) l on true
        """

    static let queues = Statement(
        name: "show_queues",
        sql: """
            select json_strip_nulls(json_build_object(
                'name', name, 'paused', q.paused_at is not null, 'pausedAt', holdfast.rfc3339(q.paused_at),
                'jobLimit', q.job_limit, 'lineLimit', q.line_limit, 'depth', coalesce(j.depth, 0),
                'scheduled', coalesce(j.scheduled, 0), 'ready', coalesce(l.ready, 0), 'running', coalesce(l.running, 0),
                'oldestWaitMs', l.oldest_wait_ms))::text
            \(fromQueues)
            order by name
            """,
        isPrepared: false
    )

    /// The deepest queues, as ``queues`` has them.
    static let queueStates = Statement(
        name: "queue_states",
        sql: """
            select name, q.paused_at is not null, coalesce(j.depth, 0), coalesce(j.scheduled, 0), coalesce(l.ready, 0),
                   coalesce(l.running, 0), l.oldest_wait_ms
            \(fromQueues)
            order by coalesce(j.depth, 0) desc, name
            limit $2
            """,
        isPrepared: false
    )

    static let workerCounts = Statement(
        name: "count_workers",
        sql: """
            select count(*), coalesce(sum((select count(*) from holdfast.key_lines k where k.held_by = w.id)), 0)::bigint
            from holdfast.live_workers w
            """
    )

    static let workers = Statement(
        name: "show_workers",
        sql: """
            select json_build_object(
                'id', w.id, 'name', w.name, 'queues', w.queues, 'kinds', w.kinds, 'slots', w.slots,
                'startedAt', holdfast.rfc3339(w.started_at), 'lastBeatAt', holdfast.rfc3339(w.beat_at),
                'claims', (select count(*) from holdfast.key_lines k where k.held_by = w.id),
                'nodesWithoutVote', w.nodes_without_vote)::text
            from holdfast.live_workers w
            order by w.id
            """
    )

    /// Those of some jobs that are no longer unfinished.
    static let gone = Statement(
        name: "gone_jobs",
        sql: """
            select a.id
            from unnest($1::bigint[]) as a(id)
            where not exists (select from holdfast.jobs j where j.id = a.id)
            """
    )

    /// The states of those of some jobs that are finished.
    static let outcomes = Statement(
        name: "job_outcomes",
        sql: "select f.id, f.state from holdfast.finished_jobs f where f.id = any ($1::bigint[])"
    )

    /// How many unfinished jobs there are, and the time.
    static let countUnfinished = Statement(
        name: "count_unfinished",
        sql: """
            select count(*), clock_timestamp()
            from holdfast.jobs j
            where ($1::text is null or j.queue = $1) and ($2::text is null or j.lock_key = $2)
            """,
        isPrepared: false
    )

    /// How many jobs have finished since, by state.
    static let finishedSince = Statement(
        name: "finished_since",
        sql: """
            select f.state, count(*)
            from holdfast.finished_jobs f
            where f.finished_at >= $1 and ($2::text is null or f.queue = $2) and ($3::text is null or f.lock_key = $3)
            group by f.state
            """,
        isPrepared: false
    )

    /// How many numbers of jobs have been drawn; null for who may not know.
    static let lastJob = Statement(
        name: "last_job",
        sql: """
            select case when has_sequence_privilege('holdfast.jobs_id_seq', 'select') then (
                select coalesce(s.last_value, 0)
                from pg_sequences s
                where s.schemaname = 'holdfast' and s.sequencename = 'jobs_id_seq') end, clock_timestamp()
            """
    )

    /// The highest number of a recent event.
    static let lastEvent = Statement(
        name: "last_event",
        sql: """
            select coalesce(max(h.id), 0)
            from holdfast.lock_history h
            where h.at > now() - interval '1 day'
            """
    )

    /// Recent events after a number.
    static let newEvents = Statement(
        name: "new_events",
        sql: "select id, lock_key, job_id, event, body from holdfast.new_events($1, $2)"
    )

    /// The oldest transaction that runs, and the first that has not begun.
    static let snapshot = Statement(
        name: "snapshot",
        sql: """
            select pg_snapshot_xmin(s.snapshot)::text::bigint, pg_snapshot_xmax(s.snapshot)::text::bigint
            from (select pg_current_snapshot() as snapshot) s
            """
    )

    /// Events that a subscriber has missed.
    static let pastEvents = Statement(
        name: "past_events",
        sql: """
            select h.id, h.lock_key, h.job_id, h.event::text, holdfast.event_json(h)
            from holdfast.lock_history h
            where h.id > $1 and h.id <= $2 and ($3::text is null or h.lock_key = $3)
                and ($4::bigint is null or h.job_id = $4)
            order by h.id
            limit $5
            """,
        isPrepared: false
    )
}
