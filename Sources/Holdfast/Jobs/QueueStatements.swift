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

    /// One job, wherever it is.
    static let find = Statement(name: "find", sql: "select * from holdfast.find_job($1)")
}
