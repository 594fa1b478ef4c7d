import PlantedBugs
import Postgres

/// The statements of a settle; those of its transaction in the order in which that runs them.
enum SettleStatements {
    /// That a line is still the claim's: found by its number, which no other version of any line has.
    ///
    /// By its key, all that was claimed of it before would be walked over while a long transaction stops vacuum.
    private static let isTheirs = "k.held_by = $1 and k.fence = l.fence"
    private static let withoutFence = "k.lock_key = l.lock_key and $1::bigint is not null"

    /// Locks the lines that still belong to the claims, in key order, and passes over those that another has locked: no
    /// key may make others wait.
    private static let lockMine = """
        select l.lock_key, l.fence, l.place
        from (
            select *
            from unnest($2::text[], $3::bigint[]) with ordinality as u(lock_key, fence, place)
            order by u.lock_key) l
        cross join lateral (
            select
            from holdfast.key_lines k
            where \(isTheirs)
            for update skip locked) k
        """
        .planting(.settleWithoutFence, isTheirs, withoutFence)

    /// Locks the lines, and reads the clock.
    static let lock = Statement(
        name: "settle_lock",
        sql: """
            with mine as materialized (\(lockMine))
            select array(select place from mine) as places, clock_timestamp() as now
            """
    )

    /// Settles parts of runs, whose lines stay as they are, in one statement: it locks those, moves jobs that are over, and
    /// records events; an acquisition only of a job that is still there.
    ///
    /// A job's row is locked before it counts as there, so an old snapshot cannot mislead; and its line before that, as the
    /// left join's whole left side comes first: its condition must name nothing of it. A server that reads this late, when
    /// it has been given up and settled again, changes nothing: it is past `$28`. On ONE key this makes 15 % more jobs a
    /// second than a transaction with a statement for each.
    ///
    /// - Returns: A row for each line that was locked, with the time of the acquisition that was recorded.
    static let parts = Statement(
        name: "settle_parts",
        sql: """
            with mine as materialized (\(lockMine) where clock_timestamp() < $28),
            over as (\(takeOut(from: 4)) and o.claim_fence in (select fence from mine) \(whatIsOver)),
            kept as (\(keep)),
            recorded as (
                \(HistoryStatements.insert(from: 11))
                join mine on mine.fence = e.claim_fence
                left join lateral (
                    select true as is_there
                    from holdfast.jobs j
                    where e.event = 'acquired' and j.id = e.job_id
                    for key share) j on true
                where e.event <> 'acquired' or j.is_there
                order by e.place
                returning event, lock_key, at)
            select mine.place, recorded.at
            from mine
            left join recorded on recorded.lock_key = mine.lock_key and recorded.event = 'acquired'
            """
    )

    /// Of the lines that were not locked, those that belong to the claims no more.
    ///
    /// Fences only rise, so that is final.
    static let findStale = Statement(
        name: "settle_find_stale",
        sql: """
            select l.place
            from unnest($2::text[], $3::bigint[]) with ordinality as l(lock_key, fence, place)
            left join holdfast.key_lines k on k.lock_key = l.lock_key
            where k.fence is distinct from l.fence or k.held_by is distinct from $1
            """
    )

    /// Of the attempts of a settlement whose commit was in doubt, those whose end is recorded, and whether as refused.
    ///
    /// `$3` is a time before all of them.
    static let findRecorded = Statement(
        name: "settle_find_recorded",
        sql: """
            select a.place, bool_or(h.event = 'refused') as refused
            from unnest($1::bigint[], $2::bigint[]) with ordinality as a(job_id, fence, place)
            join holdfast.lock_history h
                on h.job_id = a.job_id and h.fence = a.fence and h.at >= $3
                    and h.event in ('released', 'lost', 'overrun', 'refused')
            group by a.place
            """
    )

    /// Takes jobs out that are over, which are the seven parameters from `$first` on.
    ///
    /// Their ids are asked for twice: a plan made while there are few jobs would read the whole index to join it.
    private static func takeOut(from first: Int) -> String {
        let types = ["bigint", "text", "text", "bigint", "integer", "timestamptz", "bigint"]
        let columns = types.enumerated().map { "$\(first + $0)::\($1)[]" }.joined(separator: ", ")
        return """
            delete from holdfast.jobs j
            using unnest(\(columns)) as o(id, state, error, fence, attempt, started_at, claim_fence)
            where j.id = o.id and j.id = any($\(first))
            """
    }

    private static let whatIsOver = """
        returning j.id, j.lock_key, j.kind, j.value, j.queue, j.priority, j.duration_ms, j.lock_ttl_ms, o.attempt,
            j.max_attempts, o.state, o.error, o.fence, j.submitted_at, o.started_at, j.run_at, j.timeout_ms, j.metadata,
            j.traceparent, j.progress, j.progress_note
        """

    /// Keeps what is over, with one time for all of it.
    private static let keep = """
        insert into holdfast.finished_jobs
            (id, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, attempt, max_attempts, state, error,
             fence, submitted_at, started_at, run_at, timeout_ms, metadata, traceparent, progress, progress_note,
             worker_id, finished_at)
        select over.*, $1, (select clock_timestamp())
        from over
        """

    /// Moves jobs that are over to where those are kept.
    static let finish = Statement(
        name: "settle_finish",
        sql: """
            with over as (\(takeOut(from: 2)) \(whatIsOver))
            \(keep)
            """
    )

    /// Counts attempts that failed; their jobs keep their places.
    static let retry = Statement(
        name: "settle_retry",
        sql: """
            update holdfast.jobs j
            set attempt = r.attempt, last_error = r.error
            from unnest($1::bigint[], $2::integer[], $3::text[]) as r(id, attempt, error)
            where j.id = r.id and j.id = any($1)
            """
    )

    /// Moves lines on to their next job: frees those whose claim is over, and deletes those of them that are empty.
    ///
    /// The lines are locked, so each is at its place in the table until it is changed here. Searching from the last place
    /// that is settled, not from the line's beginning, walks over no dead rows.
    /// - Returns: A row for each line that was freed with jobs left.
    static let moveOn = Statement(
        name: "settle_move_on",
        sql: """
            with next as materialized (
                select l.*, t.line, h.place as head_place, h.queue as head_queue
                from unnest($2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::boolean[])
                    with ordinality as l(lock_key, fence, past_place, frees, delay_us, waits, ordinal)
                cross join lateral (
                    select k.ctid as line
                    from holdfast.key_lines k
                    where \(isTheirs)
                    limit 1) t
                left join lateral (
                    select j.place, j.queue
                    from holdfast.jobs j
                    where j.lock_key = l.lock_key and j.place > l.past_place
                    order by j.place
                    limit 1) h on true),
            emptied as (
                delete from holdfast.key_lines k
                using next n
                where k.ctid = n.line and n.frees and n.head_place is null)
            update holdfast.key_lines k
            set head_place = coalesce(n.head_place, n.past_place + 1),
                queue = case when n.frees then n.head_queue else k.queue end,
                held_by = case when n.frees then null else k.held_by end,
                ready_at = case
                    when n.frees then clock_timestamp() + n.delay_us * interval '1 microsecond' else k.ready_at end,
                waiting_since = case when n.waits then coalesce(k.waiting_since, clock_timestamp()) end
            from next n
            where k.ctid = n.line and (n.head_place is not null or not n.frees)
            returning case when n.frees then n.ordinal end as ordinal
            """
            .planting(.settleWithoutFence, isTheirs, withoutFence)
            .planting(.lostWakeup, "when n.frees then clock_timestamp()", "when n.frees then timestamptz 'infinity'")
    )
}
