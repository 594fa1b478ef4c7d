import PlantedBugs
import Postgres
import Redlock

/// The statements of the queue.
enum QueueStatements {
    /// The columns of a submission, one array each; the last gives the numbers of those that have one already.
    private static let batch = """
        unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[],
               $8::integer[], $9::integer[], $10::timestamptz[], $11::text[], $12::text[], $13::bigint[])
            with ordinality
            as b(lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, max_attempts, timeout_ms, run_at,
                 metadata, traceparent, id, ordinal)
        """

    /// Stores a batch: lines first, jobs second.
    ///
    /// A conflict takes the line's lock even where it writes nothing, and places are drawn once all lines are locked: for
    /// each key they rise in the order of the locks, and no settle can miss a job. Sorted keys keep batches from
    /// deadlock. `head_place` is a lower bound for the places that are about to be drawn. What is scheduled for later
    /// gets no place, and opens no line.
    static let enqueue = Statement(
        name: "enqueue",
        sql: """
            with lines as (
                insert into holdfast.key_lines (lock_key, queue, priority, ready_at, head_place)
                select b.lock_key, (array_agg(b.queue order by b.ordinal))[1], min(b.priority), clock_timestamp(),
                       (select last_value from holdfast.jobs_id_seq)
                from unnest($1::text[], $4::text[], $5::integer[], $10::timestamptz[]) with ordinality
                    as b(lock_key, queue, priority, run_at, ordinal)
                where b.run_at is null or b.run_at <= now()
                group by b.lock_key
                order by b.lock_key
                on conflict (lock_key)
                    do update set priority = excluded.priority where key_lines.priority > excluded.priority
                returning 1)
            insert into holdfast.jobs
                (id, place, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, max_attempts, timeout_ms,
                 run_at, metadata, traceparent)
            select coalesce(n.id, n.number), case when n.run_at is null or n.run_at <= now() then n.number end,
                   n.lock_key, n.kind, n.value, n.queue, n.priority, n.duration_ms, n.lock_ttl_ms, n.max_attempts,
                   n.timeout_ms, n.run_at, n.metadata::jsonb, n.traceparent
            from (
                select b.*, nextval('holdfast.jobs_id_seq') as number
                from \(batch)
                where (select count(*) from lines) is not null
                order by b.ordinal) n
            returning id, submitted_at
            """
            .planting(
                .enqueueWithoutLock,
                "do update set priority = excluded.priority where key_lines.priority > excluded.priority",
                "do nothing"
            )
            .planting(
                .replyBeforeCommit,
                "from lines) is not null",
                "from lines) is not null and set_config('synchronous_commit', 'off', true) is not null"
            )
    )

    /// A number for each idempotency key, in their order.
    static let reserveIDs = Statement(
        name: "reserve_ids",
        sql: """
            select r.job_id, r.is_new, r.is_same, r.submitted_at
            from holdfast.reserve_ids($14::text[], array(
                select holdfast.job_digest(
                    b.lock_key, b.kind, b.value, b.queue, b.priority, b.run_at, b.max_attempts, b.lock_ttl_ms,
                    b.duration_ms, b.timeout_ms, b.metadata::jsonb)
                from \(batch)
                order by b.ordinal)) r
            """
    )

    /// Marks free and ready lines as held, the best priority and the longest ready first.
    ///
    /// One look at the index for each queue and priority, from its floor: dead entries below it are not walked over.
    /// `now()`, not `clock_timestamp()`: the index takes no volatile bound. A line is changed where it was found: its key
    /// leads over all its dead versions too.
    static let claimLines = Statement(
        name: "claim_lines",
        sql: """
            with free as (
                select l.line
                from unnest($2::text[], $3::integer[], $4::timestamptz[]) as p(queue, priority, floor)
                cross join lateral (
                    select k.ctid as line
                    from holdfast.key_lines k
                    where k.held_by is null and k.queue = p.queue and k.priority = p.priority
                        and k.ready_at >= p.floor and k.ready_at <= now()
                    order by k.ready_at
                    limit $5
                    for update skip locked) l
                where exists (select from holdfast.workers w where w.id = $1 and w.lease_until > now())
                    and not exists (select from holdfast.queues x where x.name = p.queue and x.paused_at is not null)
                limit $5),
            held as (
                update holdfast.key_lines k
                set held_by = $1, fence = nextval('holdfast.fence'), claimed_at = clock_timestamp()
                from free
                where k.ctid = free.line
                returning k.lock_key, k.fence, k.head_place, k.queue, k.priority, k.ready_at,
                    (extract(epoch from clock_timestamp() - k.waiting_since) * 1000000)::bigint as waited_us,
                    (extract(epoch from clock_timestamp() - k.ready_at) * 1000000)::bigint as ready_us)
            select *
            from held
            order by priority, ready_at
            """
    )

    /// Whether there is a line to be claimed; found as ``claimLines`` finds it, and not locked.
    static let isAnyReady = Statement(
        name: "is_any_ready",
        sql: """
            select exists (
                select
                from unnest($1::text[], $2::integer[], $3::timestamptz[]) as p(queue, priority, floor)
                cross join lateral (
                    select
                    from holdfast.key_lines k
                    where k.held_by is null and k.queue = p.queue and k.priority = p.priority
                        and k.ready_at >= p.floor and k.ready_at <= now()
                    order by k.ready_at
                    limit 1) l
                where not exists (select from holdfast.queues x where x.name = p.queue and x.paused_at is not null))
            """
    )

    /// The limits of queues that have any, and how many unfinished jobs those have.
    static let limits = Statement(
        name: "queue_limits",
        sql: "select name, job_limit, line_limit, depth from holdfast.queue_limits()"
    )

    /// How many unfinished jobs keys have in line, counted up to a limit.
    static let countLines = Statement(
        name: "count_lines",
        sql: """
            select (
                select count(*)
                from (
                    select
                    from holdfast.key_lines k
                    join holdfast.jobs j on j.lock_key = k.lock_key and j.place >= k.head_place
                    where k.lock_key = l.lock_key
                    limit l.most) n)::integer
            from unnest($1::text[], $2::integer[]) with ordinality as l(lock_key, most, ordinal)
            order by l.ordinal
            """
    )

    /// Reads a run of jobs from each head, each with a fence of its own, until their values have so many bytes, or one is
    /// of another queue.
    ///
    /// A statement after ``claimLines``, because that one's snapshot may be older than the lines that it locked.
    static let readRuns = Statement(
        name: "read_runs",
        sql: """
            select l.ordinal, j.id, j.place, nextval('holdfast.fence') as fence, j.kind, j.value, j.duration_ms,
                   j.lock_ttl_ms, j.attempt, j.max_attempts, j.timeout_ms, j.metadata, j.traceparent,
                   j.cancel_requested_at is not null as is_cancelled
            from unnest($1::text[], $2::bigint[], $3::text[]) with ordinality as l(lock_key, head_place, queue, ordinal)
            cross join lateral (
                select r.*, sum(octet_length(r.value)) over line - octet_length(r.value) as bytes_before,
                       bool_and(r.queue = l.queue) over line as is_of_queue
                from (
                    select *
                    from holdfast.jobs
                    where jobs.lock_key = l.lock_key and jobs.place >= l.head_place
                    order by jobs.place
                    limit $4) r
                window line as (order by r.place)) j
            where j.bytes_before < $5 and j.is_of_queue
            """
    )

    /// One job, wherever it is.
    ///
    /// It leaves `jobs` and enters `finished_jobs` in one transaction, so one is found.
    static let find = Statement(
        name: "find",
        sql: """
            select j.id, j.lock_key, j.kind, j.value, j.queue, j.priority, j.duration_ms, j.lock_ttl_ms, j.timeout_ms,
                   case when a.fence is not null then 'running' when j.attempt > 0 then 'retrying'
                        when j.place is null and j.run_at > now() then 'scheduled' else 'queued' end as state,
                   j.attempt + case when a.fence is not null then 1 else 0 end as attempt,
                   j.max_attempts, j.last_error as error, a.fence, j.submitted_at, j.run_at, a.at as started_at,
                   null::timestamptz as finished_at, j.metadata, j.traceparent, j.progress, j.progress_note
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
            select id, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, timeout_ms, state, attempt,
                   max_attempts, error, fence, submitted_at, run_at, started_at, finished_at, metadata, traceparent,
                   progress, progress_note
            from holdfast.finished_jobs
            where id = $1
            """
    )

    /// The parameters of ``enqueue``, and all but the last of ``reserveIDs``.
    ///
    /// - Parameters:
    ///   - jobs: The batch.
    ///   - ids: The number of each that has one already; `nil` when none has.
    /// - Returns: One for each `$n`.
    static func parameters(_ jobs: [NewJob], ids: [Int64?]? = nil) -> [Parameter] {
        [
            .texts(jobs.map(\.key.text)),
            .texts(jobs.map(\.kind)),
            .texts(jobs.map(\.value)),
            .texts(jobs.map(\.queue)),
            .int32s(jobs.map(\.priority)),
            .int32s(jobs.map { Int32($0.duration.milliseconds) }),
            .int32s(jobs.map { Int32($0.lockTTL.milliseconds) }),
            .int32s(jobs.map(\.maxAttempts)),
            .optionalInt32s(jobs.map { $0.timeout.map { Int32($0.milliseconds) } }),
            .optionalTimestamps(jobs.map(\.runAt)),
            .optionalTexts(jobs.map(\.metadata)),
            .optionalTexts(jobs.map(\.traceparent)),
            .optionalInt64s(ids ?? Array(repeating: nil, count: jobs.count)),
        ]
    }
}
