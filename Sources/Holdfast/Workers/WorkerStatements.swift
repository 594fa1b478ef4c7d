import Postgres

/// The statements of workers and their leader.
enum WorkerStatements {
    /// Lines of workers without a lease: those between the numbers of the workers that have one, some for each gap.
    ///
    /// What a live worker held and has settled is not walked over, though a long transaction may keep it in the index. The
    /// limit keeps the plan from a join that looks through all of it.
    private static func orphans(_ limit: String) -> String {
        """
        (
            select w.id as above, lead(w.id, 1, 9223372036854775807) over (order by w.id) as below
            from (
                select 0::bigint as id
                union all
                select id from holdfast.workers where lease_until > clock_timestamp()) w) gap
        cross join lateral (
            select *
            from holdfast.key_lines
            where held_by > gap.above and held_by < gap.below
            limit \(limit)) k
        """
    }

    static let nextID = Statement(name: "next_worker", sql: "select nextval('holdfast.worker_id_seq')")

    /// Registers a worker, or renews its lease; takes or renews the term of the leader, unless another has it.
    ///
    /// One statement for both, because every worker runs it each second.
    /// - Returns: Whether the worker is the leader now, and whether it has lines of workers without a lease to rescue.
    static let heartbeat = Statement(
        name: "heartbeat",
        sql: """
            with lease as (
                insert into holdfast.workers (id, name, queues, kinds, slots, lease_until, nodes_without_vote)
                values ($1, $2, $3, $4, $5, clock_timestamp() + $6::bigint * interval '1 microsecond', $7)
                on conflict (id) do update
                    set lease_until = excluded.lease_until, nodes_without_vote = excluded.nodes_without_vote),
            term as (
                insert into holdfast.leaders (role, worker_id, lease_until)
                values ('upkeep', $1, clock_timestamp() + $6::bigint * interval '1 microsecond')
                on conflict (role) do update set worker_id = excluded.worker_id, lease_until = excluded.lease_until
                    where leaders.worker_id = excluded.worker_id or leaders.lease_until < clock_timestamp()
                returning worker_id)
            select exists (select from term) as leads,
                   exists (select from term) and exists (select from \(orphans("1"))) as has_orphans
            """
    )

    static let leave = Statement(
        name: "leave",
        sql: """
            with lines as (
                update holdfast.leaders set lease_until = clock_timestamp() where worker_id = $1)
            delete from holdfast.workers where id = $1
            """
    )

    /// Puts the lines of workers without a lease back in the queue.
    ///
    /// An attempt whose acquisition is recorded was begun, and counts.
    static let rescue = Statement(
        name: "rescue",
        sql: """
            with orphans as materialized (
                select k.lock_key, k.held_by, k.fence, k.head_place, k.claimed_at
                from \(orphans("1000 for update skip locked"))
                order by k.lock_key),
            begun as materialized (
                select j.id, o.lock_key, h.fence, h.attempt
                from orphans o
                cross join lateral (
                    select jobs.id
                    from holdfast.jobs
                    where jobs.lock_key = o.lock_key and jobs.place >= o.head_place
                    order by jobs.place
                    limit 1000) j
                join holdfast.lock_history h
                    on h.job_id = j.id and h.event = 'acquired' and h.fence > o.fence
                    and h.at >= o.claimed_at - interval '1 minute'),
            counted as (
                update holdfast.jobs j
                set attempt = b.attempt, last_error = 'its worker''s lease lapsed'
                from begun b
                where j.id = b.id),
            freed as (
                update holdfast.key_lines k
                set held_by = null, ready_at = clock_timestamp()
                from orphans o
                where k.lock_key = o.lock_key)
            insert into holdfast.lock_history (at, event, lock_key, job_id, attempt, worker_id, fence, reason)
            select clock_timestamp(), 'rescued', o.lock_key, b.id, b.attempt, o.held_by, coalesce(b.fence, o.fence),
                   'the lease of worker ' || o.held_by || ' lapsed'
            from orphans o
            left join begun b on b.lock_key = o.lock_key
            returning lock_key
            """
    )

    /// Gives back the lines that a worker holds and does not run: those of a claim whose commit got no answer.
    static let giveUpOthers = Statement(
        name: "give_up_others",
        sql: """
            update holdfast.key_lines
            set held_by = null, ready_at = clock_timestamp()
            where held_by = $1 and fence <> all ($2::bigint[])
            """
    )

    /// What operators ask of a worker: jobs that it runs and is to cancel, and queues of which it is to start none.
    static let orders = Statement(
        name: "orders",
        sql: """
            select j.id as cancelled, null as paused
            from holdfast.jobs j
            join holdfast.key_lines k on k.lock_key = j.lock_key and k.held_by = $1
            where j.cancel_requested_at is not null
            union all
            select null, q.name
            from holdfast.queues q
            where q.paused_at is not null
            """
    )

    static let progress = Statement(
        name: "store_progress",
        sql: """
            update holdfast.jobs j
            set progress = p.part, progress_note = p.note
            from unnest($2::bigint[], $3::double precision[], $4::text[]) as p(id, part, note)
            where j.id = p.id and exists (
                select from holdfast.key_lines k where k.lock_key = j.lock_key and k.held_by = $1)
            """
    )

    static let forget = Statement(
        name: "forget_workers",
        sql: "delete from holdfast.workers where lease_until < clock_timestamp() - interval '1 minute'"
    )

    static let expiryLimit = 5000

    static let expireKeys = Statement(
        name: "expire_idempotency_keys",
        sql: """
            delete from holdfast.idempotency_keys
            where idempotency_key in (
                select idempotency_key
                from holdfast.idempotency_keys
                where expires_at <= clock_timestamp()
                limit \(expiryLimit))
            """
    )

    static let dropPartitions = Statement(name: "drop_partitions", sql: "select holdfast.drop_partitions($1, $2)")

    static let joinLines = Statement(name: "join_lines", sql: "select queue, run_at from holdfast.join_lines($1, $2)")

    static let sealHistory = Statement(name: "seal_history", sql: "select holdfast.seal_history($1)")

    static let makePartitions = Statement(name: "make_partitions", sql: "select holdfast.make_partitions(7)")
}
