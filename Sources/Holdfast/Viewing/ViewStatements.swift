import Postgres

/// The statements that show the queue and the history; most rows are a JSON text.
enum ViewStatements {
    static let why = Statement(
        name: "why_waiting",
        sql: """
            select json_strip_nulls(json_build_object(
                'cause', w.cause, 'detail', w.detail, 'job', w.other_job, 'ahead', w.ahead,
                'since', holdfast.rfc3339(w.since), 'until', holdfast.rfc3339(w.until)))::text
            from holdfast.why_waiting($1) w
            """
    )

    /// The events of a job in a span of time, with the acquisitions of holds that others passed on to it.
    static let jobEvents = Statement(
        name: "job_events",
        sql: """
            select holdfast.event_json(e)
            from holdfast.job_history($1, $2, $3) e
            order by e.at, e.id
            limit 10000
            """
    )

    /// The attempts of a job in a span of time; planned anew each time, for the partitions of that.
    static let attempts = Statement(
        name: "job_attempts",
        sql: """
            select json_strip_nulls(json_build_object(
                'attempt', a.attempt, 'worker', a.worker_id, 'fence', a.fence,
                'startedAt', holdfast.rfc3339(a.started_at), 'endedAt', holdfast.rfc3339(a.ended_at),
                'outcome', a.outcome, 'reason', a.reason))::text
            from holdfast.attempts_between($2, $3) a
            where a.job_id = $1
            order by a.started_at, a.fence
            limit 10000
            """,
        isPrepared: false
    )

    /// The events of a span of time, the latest first, or those that were before one of them.
    ///
    /// By time alone: an order by number would read all that is later, or all of a key.
    static let spanEvents = Statement(
        name: "span_events",
        sql: """
            select holdfast.event_json(h), holdfast.rfc3339(h.at) || ' ' || h.id
            from holdfast.lock_history h
            where h.at >= $1 and h.at < $2 and ($3::text is null or h.lock_key = $3)
                and ($4::timestamptz is null or h.at <= $4 and (h.at, h.id) < ($4, $5::bigint))
            order by h.at desc, h.id desc
            limit $6
            """,
        isPrepared: false
    )

    /// The unfinished jobs that have come before a moment, the newest first, from when on each could have run.
    static let unfinishedWaits = Statement(
        name: "unfinished_waits",
        sql: """
            select \(wait)
            from holdfast.jobs j
            where greatest(j.submitted_at, j.run_at) < least($1, now())
            order by j.id desc
            limit $2
            """,
        isPrepared: false
    )

    /// Likewise those of a key: see ``JobListStatements`` for its two branches.
    static let unfinishedWaitsOfKey = Statement(
        name: "unfinished_waits_of_key",
        sql: """
            select \(wait)
            from (
                (select *
                from holdfast.jobs p
                where p.lock_key = $3 and p.place <= p.id and p.place >= p.id
                    and greatest(p.submitted_at, p.run_at) < least($1, now())
                order by p.place desc
                limit $2)
                union all
                (select *
                from holdfast.jobs m
                where m.lock_key = $3 and m.place is distinct from m.id
                    and greatest(m.submitted_at, m.run_at) < least($1, now())
                order by - m.id
                limit $2)) j
            order by j.id desc
            limit $2
            """,
        isPrepared: false
    )

    private static let wait = """
        json_build_object(
            'job', j.id, 'key', j.lock_key, 'queue', j.queue,
            'since', holdfast.rfc3339(greatest(j.submitted_at, j.run_at)))::text
        """

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

    /// How many jobs have finished since, by queue, state and step of time.
    static let finishedJobs = Statement(
        name: "finished_jobs",
        sql: """
            select f.queue, f.state, floor(extract(epoch from f.finished_at) / $2::bigint)::bigint as step, count(*)
            from holdfast.finished_jobs f
            where f.finished_at >= $1
            group by 1, 2, 3
            """,
        isPrepared: false
    )

    static let clock = Statement(name: "clock", sql: "select clock_timestamp()")

    /// The database's clock, and a time before which there is no history.
    static let historyBounds = Statement(
        name: "history_bounds",
        sql:
            "select clock_timestamp(), coalesce(min(n.at), clock_timestamp()) - interval '1 day' from holdfast.drawn_numbers n"
    )

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
            left join lateral holdfast.running(k) c on true
            """
    )

    /// What runs on each claimed line.
    static let locks = Statement(
        name: "current_locks",
        sql: """
            select json_strip_nulls(json_build_object(
                'key', h.lock_key, 'job', h.job_id, 'attempt', h.attempt, 'worker', h.worker_id, 'fence', h.fence,
                'since', holdfast.rfc3339(h.acquired_at), 'votes', h.votes))::text, h.lock_key
            from holdfast.holds_now($1, $2) h
            order by h.lock_key
            """
    )

    static let queues = Statement(
        name: "show_queues",
        sql: """
            select json_strip_nulls(json_build_object(
                'name', q.name, 'paused', q.paused_at is not null, 'pausedAt', holdfast.rfc3339(q.paused_at),
                'jobLimit', q.job_limit, 'lineLimit', q.line_limit, 'depth', q.depth, 'scheduled', q.scheduled,
                'ready', q.ready, 'running', q.running, 'oldestWaitMs', q.oldest_wait_ms, 'unserved', q.unserved))::text
            from holdfast.queue_counts($1) q
            order by q.name
            """
    )

    /// The deepest queues.
    static let queueStates = Statement(
        name: "queue_states",
        sql: """
            select q.name, q.paused_at is not null, q.depth, q.scheduled, q.ready, q.running, q.oldest_wait_ms,
                   q.served_wait_ms, array(select u ->> 'kind' from jsonb_array_elements(q.unserved) as u),
                   array(select (u ->> 'lines')::bigint from jsonb_array_elements(q.unserved) as u),
                   array(select (u ->> 'oldestWaitMs')::bigint from jsonb_array_elements(q.unserved) as u)
            from holdfast.queue_counts(null) q
            order by q.depth desc, q.name
            limit $1
            """
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

    /// A time before which none of some jobs can have finished.
    static let jobsSince = Statement(
        name: "jobs_since",
        sql: "select holdfast.job_since((select min(a.id) from unnest($1::bigint[]) as a(id)))"
    )

    /// The states of those of some jobs that are finished, and have not finished before.
    static let outcomes = Statement(
        name: "job_outcomes",
        sql:
            "select f.id, f.state from holdfast.finished_jobs f where f.id = any ($1::bigint[]) and f.finished_at >= $2",
        isPrepared: false
    )

    /// How many unfinished jobs there are, and the time.
    static let countUnfinished = Statement(
        name: "count_unfinished",
        sql: """
            select count(*), clock_timestamp()
            from holdfast.jobs j
            where $1::text is null or j.queue = $1
            """,
        isPrepared: false
    )

    /// Likewise of a key: those in line by one index, the others by another.
    static let countUnfinishedOfKey = Statement(
        name: "count_unfinished_of_key",
        sql: """
            select (
                select count(*)
                from holdfast.jobs j
                where j.lock_key = $2 and j.place is not null and ($1::text is null or j.queue = $1)) + (
                select count(*)
                from holdfast.jobs j
                where j.lock_key = $2 and j.place is null and ($1::text is null or j.queue = $1)), clock_timestamp()
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
    static let lastEvent = Statement(name: "last_event", sql: "select holdfast.last_event()")

    /// Events between two numbers, of a key or a job if one is given.
    static let events = Statement(
        name: "events_after",
        sql: "select id, lock_key, job_id, event, body from holdfast.events_after($1, $2, $5, $3, $4)"
    )

    /// The oldest transaction that runs, and the first that has not begun.
    static let snapshot = Statement(
        name: "snapshot",
        sql: """
            select pg_snapshot_xmin(s.snapshot)::text::bigint, pg_snapshot_xmax(s.snapshot)::text::bigint
            from (select pg_current_snapshot() as snapshot) s
            """
    )
}
