import Postgres

/// The statements of the queue.
enum QueueStatements {
    /// Stores a batch: lines first, jobs second.
    ///
    /// A conflict takes the line's lock even where it writes nothing, and ids are drawn once all lines are locked: for
    /// each key they rise in the order of the locks, and no settle can miss a job. Sorted keys keep batches from
    /// deadlock. `head_id` is a lower bound for the ids that are about to be drawn.
    static let enqueue = Statement(
        name: "enqueue",
        sql: """
            with lines as (
                insert into holdfast.key_lines (lock_key, queue, priority, ready_at, head_id)
                select b.lock_key, min(b.queue), min(b.priority), clock_timestamp(),
                       (select last_value from holdfast.jobs_id_seq)
                from unnest($1::text[], $4::text[], $5::integer[]) as b(lock_key, queue, priority)
                group by b.lock_key
                order by b.lock_key
                on conflict (lock_key) do update set priority = excluded.priority
                    where key_lines.priority > excluded.priority
                returning 1)
            insert into holdfast.jobs
                (lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, max_attempts)
            select b.lock_key, b.kind, b.value, b.queue, b.priority, b.duration_ms, b.lock_ttl_ms, b.max_attempts
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[],
                        $8::integer[])
                with ordinality
                as b(lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, max_attempts, place)
            where (select count(*) from lines) is not null
            order by b.place
            returning id, submitted_at
            """
    )

    /// Marks free and ready lines as held, the best priority and the longest ready first.
    ///
    /// One look at the index for each queue and priority, from its floor: dead entries below it are not walked over.
    /// `now()`, not `clock_timestamp()`: the index takes no volatile bound.
    static let claimLines = Statement(
        name: "claim_lines",
        sql: """
            with free as (
                select l.lock_key
                from unnest($3::integer[], $4::timestamptz[]) as p(priority, floor)
                cross join unnest($2::text[]) as q(queue)
                cross join lateral (
                    select k.lock_key
                    from holdfast.key_lines k
                    where k.held_by is null and k.queue = q.queue and k.priority = p.priority
                        and k.ready_at >= p.floor and k.ready_at <= now()
                    order by k.ready_at
                    limit $5
                    for update skip locked) l
                where exists (select from holdfast.workers w where w.id = $1 and w.lease_until > now())
                limit $5),
            held as (
                update holdfast.key_lines k
                set held_by = $1, fence = nextval('holdfast.fence'), claimed_at = clock_timestamp()
                from free
                where k.lock_key = free.lock_key
                returning k.lock_key, k.fence, k.head_id, k.queue, k.priority, k.ready_at,
                    (extract(epoch from clock_timestamp() - k.waiting_since) * 1000000)::bigint as waited_us)
            select *
            from held
            order by priority, ready_at
            """
    )

    /// Reads a run of jobs from each head, each with a fence of its own, until their values have so many bytes.
    ///
    /// A statement after ``claimLines``, because that one's snapshot may be older than the lines that it locked.
    static let readRuns = Statement(
        name: "read_runs",
        sql: """
            select l.place, j.id, nextval('holdfast.fence') as fence, j.kind, j.value, j.duration_ms, j.lock_ttl_ms,
                   j.attempt, j.max_attempts
            from unnest($1::text[], $2::bigint[]) with ordinality as l(lock_key, head_id, place)
            cross join lateral (
                select r.*, sum(octet_length(r.value)) over (order by r.id) - octet_length(r.value) as bytes_before
                from (
                    select *
                    from holdfast.jobs
                    where jobs.lock_key = l.lock_key and jobs.id >= l.head_id
                    order by jobs.id
                    limit $3) r) j
            where j.bytes_before < $4
            """
    )

    /// One job, wherever it is.
    ///
    /// It leaves `jobs` and enters `finished_jobs` in one transaction, so one is found.
    static let find = Statement(
        name: "find",
        sql: """
            select j.id, j.lock_key, j.kind, j.value, j.queue, j.priority, j.duration_ms, j.lock_ttl_ms,
                   case when a.fence is not null then 'running' when j.attempt > 0 then 'retrying' else 'queued' end
                       as state,
                   j.attempt + case when a.fence is not null then 1 else 0 end as attempt,
                   j.max_attempts, j.last_error as error, a.fence, j.submitted_at, a.at as started_at,
                   null::timestamptz as finished_at
            from holdfast.jobs j
            left join holdfast.key_lines k on k.lock_key = j.lock_key and k.held_by is not null
            left join lateral (
                select h.fence, h.at
                from holdfast.lock_history h
                where h.job_id = j.id and h.event = 'acquired' and h.fence > k.fence
                    and h.at >= k.claimed_at - interval '1 minute'
                limit 1) a on true
            where j.id = $1
            union all
            select id, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, state, attempt, max_attempts,
                   error, fence, submitted_at, started_at, finished_at
            from holdfast.finished_jobs
            where id = $1
            """
    )
}
