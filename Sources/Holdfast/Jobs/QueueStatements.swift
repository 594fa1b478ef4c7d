import Postgres
import Redlock

/// The statements of the queue; what they do is in the schema's functions.
enum QueueStatements {
    private typealias Fields = [(name: String, value: @Sendable (Batch) -> Parameter)]

    /// A batch of jobs, and the number of each that has one already.
    struct Batch: Sendable {
        let jobs: [NewJob]
        var ids: [Int64?]?
    }

    /// Stores a batch; a row for each job, in their order.
    static let enqueue = FunctionCall<Batch>(
        "holdfast.enqueue",
        returning: "id, submitted_at",
        fields + others
    )

    private static let others: Fields = [
        ("ids", { .optionalInt64s($0.ids ?? Array(repeating: nil, count: $0.jobs.count)) }),
        ("traceparents", { .optionalTexts($0.jobs.map(\.traceparent)) }),
    ]

    /// The fields that make two submissions with one idempotency key the same, and that are stored.
    private static let fields: Fields = [
        ("keys", { .texts($0.jobs.map(\.key.text)) }),
        ("kinds", { .texts($0.jobs.map(\.kind)) }),
        ("values", { .texts($0.jobs.map(\.value)) }),
        ("queues", { .texts($0.jobs.map(\.queue)) }),
        ("priorities", { .int32s($0.jobs.map(\.priority)) }),
        ("run_ats", { .optionalTimestamps($0.jobs.map(\.runAt)) }),
        ("max_attempts", { .int32s($0.jobs.map(\.maxAttempts)) }),
        ("lock_ttls_ms", { .int32s($0.jobs.map { Int32($0.lockTTL.milliseconds) }) }),
        ("durations_ms", { .int32s($0.jobs.map { Int32($0.duration.milliseconds) }) }),
        ("timeouts_ms", { .optionalInt32s($0.jobs.map { $0.timeout.map { Int32($0.milliseconds) } }) }),
        ("metadata", { .optionalTexts($0.jobs.map(\.metadata)) }),
    ]

    /// Those of some keys whose lines another transaction has locked.
    static let lockedLines = Statement(name: "locked_lines", sql: "select unnest(holdfast.locked_lines($1))")

    /// A number for each idempotency key, in their order; or, for keys that have a job only, that one's.
    static let reserveIDs = Statement(
        name: "reserve_ids",
        sql: """
            select r.ordinal, r.job_id, r.is_new, r.is_same, r.submitted_at
            from holdfast.reserve_ids($1::text[], array(
                select holdfast.job_digest(
                    b.lock_key, b.kind, b.value, b.queue, b.priority, b.run_at, b.max_attempts, b.lock_ttl_ms,
                    b.duration_ms, b.timeout_ms, b.metadata::jsonb)
                from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::timestamptz[],
                            $8::integer[], $9::integer[], $10::integer[], $11::integer[], $12::text[])
                    with ordinality
                    as b(lock_key, kind, value, queue, priority, run_at, max_attempts, lock_ttl_ms, duration_ms,
                         timeout_ms, metadata, ordinal)
                order by b.ordinal), $13) r
            """
    )

    /// The parameters of ``reserveIDs``: of jobs that have idempotency keys.
    static func keyed(_ jobs: [NewJob], onlyKnown: Bool = false) -> [Parameter] {
        [.optionalTexts(jobs.map(\.idempotencyKey))] + fields.map { $0.value(Batch(jobs: jobs)) } + [.bool(onlyKnown)]
    }

    /// What a claim asks for.
    struct ClaimRequest: Sendable {
        let worker: WorkerID
        let looks: [ClaimFloors.Look]
        let kinds: [String]
        let limit: Int
        let runLimit: Int
        let runDuration: Duration
        let runBytes: Int
        let bytes: Int
    }

    /// Claims lines, and reads a run of jobs from the head of each; a row for each job.
    static let claim = FunctionCall<ClaimRequest>(
        "holdfast.claim",
        returning: """
            line, lock_key, claim_fence, head_place, queue, line_kind, priority, turn, waited_us, ready_us, id, place, fence,
            kind, value, duration_ms, lock_ttl_ms, attempt, max_attempts, timeout_ms, metadata, traceparent, is_cancelled
            """,
        [
            ("worker", { .int64($0.worker.rawValue) }),
            ("queues", { .texts($0.looks.map(\.queue)) }),
            ("kinds", { .texts($0.looks.map(\.kind)) }),
            ("priorities", { .int32s($0.looks.map { Int32($0.priority) }) }),
            ("floors", { .int64s($0.looks.map(\.floor)) }),
            ("most", { .int32(Int32(clamping: $0.limit)) }),
            ("known_kinds", { .texts($0.kinds) }),
            ("run_limit", { .int32(Int32(clamping: $0.runLimit)) }),
            ("run_ms", { .int64($0.runDuration.milliseconds) }),
            ("run_bytes", { .int($0.runBytes) }),
            ("bytes", { .int($0.bytes) }),
        ]
    )

    /// The limits of queues that have any.
    static let limits = Statement(
        name: "queue_limits",
        sql: "select name, job_limit, line_limit from holdfast.queue_limits()"
    )

    /// How many unfinished jobs queues with a limit have; of those that are not counted yet, none.
    static let depths = Statement(
        name: "queue_depths",
        sql: "select u.queue, coalesce(holdfast.queue_depth(u.queue), 0) from unnest($1::text[]) as u(queue)"
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

    /// The columns of an unfinished job as ``Job`` reads them; `j` is its row.
    static let unfinishedColumns = """
        j.id, j.lock_key, j.kind, j.value, j.queue, j.priority, j.duration_ms, j.lock_ttl_ms, j.timeout_ms,
        case when a.fence is not null then 'running' when j.attempt > 0 then 'retrying'
             when j.place is null and j.run_at > now() then 'scheduled' else 'queued' end as state,
        j.attempt + case when a.fence is not null then 1 else 0 end as attempt, j.max_attempts, j.last_error as error,
        a.fence, j.submitted_at, j.run_at, a.began_at as started_at, null::timestamptz as finished_at, j.metadata,
        j.traceparent, j.progress, j.progress_note
        """

    /// The hold under which an unfinished job runs: `a`, a row or none.
    static let holdOfJob = """
        left join holdfast.key_lines k on k.lock_key = j.lock_key and k.held_by is not null and j.place is not null
        left join lateral (
            select c.fence, c.began_at from holdfast.current_hold(k) c where c.job_id = j.id) a on k.held_by is not null
        """

    /// The columns of a finished job as ``Job`` reads them.
    static let finishedColumns = """
        f.id, f.lock_key, f.kind, f.value, f.queue, f.priority, f.duration_ms, f.lock_ttl_ms, f.timeout_ms, f.state, f.attempt,
        f.max_attempts, f.error, f.fence, f.submitted_at, f.run_at, f.started_at, f.finished_at, f.metadata, f.traceparent,
        f.progress, f.progress_note
        """

    /// One job, wherever it is.
    ///
    /// It leaves `jobs` and enters `finished_jobs` in one transaction, so one is found.
    static let find = Statement(
        name: "find",
        sql: """
            select \(unfinishedColumns)
            from holdfast.jobs j
            \(holdOfJob)
            where j.id = $1
            union all
            select \(finishedColumns)
            from holdfast.finished_jobs f
            where f.id = $1
            """
    )
}
