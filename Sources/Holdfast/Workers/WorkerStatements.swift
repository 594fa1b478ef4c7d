import Postgres

/// The statements by which workers keep themselves known, and the queue in order.
enum WorkerStatements {
    static let nextID = Statement(name: "next_worker", sql: "select nextval('holdfast.worker_id_seq')")

    /// Registers a worker, or moves its beat on; and shows the beats of the others, and whether there are lines of dead ones.
    ///
    /// Not flushed at its commit: if the server forgets a beat, the next one makes up for it. So it takes the time of its
    /// round trip, however slow disks and standbys are.
    static let heartbeat = Statement(
        name: "heartbeat",
        sql: """
            with own as (
                insert into holdfast.workers
                    (id, name, queues, kinds, slots, nodes_without_vote, held_up_kinds, troubles, node_warnings, lock_nodes)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                on conflict (id) do update
                    set beat = excluded.beat, beat_at = clock_timestamp(),
                        nodes_without_vote = excluded.nodes_without_vote, held_up_kinds = excluded.held_up_kinds,
                        troubles = excluded.troubles, node_warnings = excluded.node_warnings,
                        lock_nodes = excluded.lock_nodes)
            select w.id, w.beat, (select exists (select from holdfast.orphans)) as has_orphans,
                   w.lock_nodes <> $10 and w.lock_nodes <> '{}' and $10 <> '{}'::text[] as has_other_nodes
            from (select set_config('synchronous_commit', 'off', true)) s
            left join holdfast.workers w on w.id <> $1
            """
    )

    static let leave = Statement(name: "leave", sql: "delete from holdfast.workers where id = $1")

    /// Removes workers that have not had a beat since.
    static let bury = Statement(
        name: "bury_workers",
        sql: """
            delete from holdfast.workers w
            using unnest($1::bigint[], $2::bigint[]) as d(id, beat)
            where w.id = d.id and w.beat = d.beat
            returning w.id, w.name
            """
    )

    static let rescue = Statement(name: "rescue", sql: "select lock_key, queue from holdfast.rescue()")

    static let giveUpOthers = Statement(name: "give_up_others", sql: "select holdfast.give_up($1, $2)")

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

    /// Stores what tasks said of their progress; of jobs whose rows are locked, as by their settle, nothing.
    ///
    /// In the order of ids, and waiting for nobody: a settle locks the same rows in an order of its own.
    static let progress = Statement(
        name: "store_progress",
        sql: """
            update holdfast.jobs j
            set progress = p.part, progress_note = p.note
            from unnest($2::bigint[], $3::double precision[], $4::text[]) as p(id, part, note)
            cross join lateral (
                select o.ctid as row
                from holdfast.jobs o
                where o.id = p.id and exists (
                    select from holdfast.key_lines k where k.lock_key = o.lock_key and k.held_by = $1)
                for no key update skip locked) o
            where j.ctid = o.row
            """
    )

    static let expiryLimit = 5000

    static let expireKeys = Statement(
        name: "expire_idempotency_keys",
        sql: """
            delete from holdfast.idempotency_keys
            where idempotency_key in (
                select idempotency_key
                from holdfast.idempotency_keys
                where expires_at <= now()
                order by expires_at
                limit \(expiryLimit))
            """
    )

    static let dropPartitions = Statement(name: "drop_partitions", sql: "select holdfast.drop_partitions($1, $2, 1)")

    static let promote = Statement(
        name: "promote",
        sql: "select queue, line_due_at, job_due_at from holdfast.promote($1, $2, $3)"
    )

    static let sealHistory = Statement(name: "seal_history", sql: "select holdfast.seal_history($1)")

    /// Of those that have been ready for as long as a worker without a heartbeat counts as alive.
    static let unservedKinds = Statement(
        name: "unserved_kinds",
        sql: """
            select u.queue, u.kind
            from holdfast.unserved_kinds() u
            where u.since < clock_timestamp() - interval '10 seconds'
                and $1 = (select min(w.id) from holdfast.live_workers w)
            limit 20
            """
    )

    static let countQueues = Statement(name: "count_queues", sql: "select holdfast.count_queues()")

    static let makePartitions = Statement(name: "make_partitions", sql: "select holdfast.make_partitions(7)")
}
