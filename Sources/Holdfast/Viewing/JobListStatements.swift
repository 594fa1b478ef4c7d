import Postgres

/// The statements that list jobs, the highest number first.
///
/// Each list has a statement that looks only where its jobs can be: at unfinished ones or finished ones or both, and of the
/// unfinished at those that run, those of a key, or all. It is planned anew each time, with its bounds in time known: so
/// filters that are not given cost nothing, and only the partitions are read, and locked, that may have what is asked for.
enum JobListStatements {
    /// Where a list looks, the nearest first; `$1` is what it is to stay below.
    ///
    /// A number above which finished jobs are looked for, and a time before which none of those has finished;
    /// since when a hold that lasts can have begun; and since when there is history.
    static let looks = Statement(
        name: "list_looks",
        sql: """
            select n.job_id, n.at - interval '1 day', h.since, o.at
            from (
                select coalesce(min(k.claimed_at), clock_timestamp()) - interval '1 minute' as since
                from holdfast.key_lines k
                where k.held_by is not null) h
            cross join (select coalesce(min(n.at), clock_timestamp()) - interval '1 day' as at from holdfast.drawn_numbers n) o
            left join (
                select d.job_id, d.at
                from (values (interval '2 days'), (interval '16 days')) as w(back)
                cross join lateral (
                    select n.job_id, n.at
                    from holdfast.drawn_numbers n
                    where n.at <= w.back * -1 + (
                        select max(t.at) from holdfast.drawn_numbers t where $1::bigint is null or t.job_id < $1)
                    order by n.at desc
                    limit 1) d) n on true
            order by n.at desc nulls last
            """
    )

    /// The list that a filter asks for, or the finished jobs of it; its parameters, then a bound of numbers, the beginning
    /// and the end of a time in which jobs have finished, the beginning of holds, and what is listed of each.
    ///
    /// Values and metadata are read when they are asked for, and until they are so many bytes: their lengths are known
    /// without them.
    static func jobs(_ filter: JobFilter, finishedOnly: Bool = false) -> Statement {
        let branches =
            (filter.mayBeUnfinished && !finishedOnly ? unfinished(filter) : [])
            + (filter.mayBeFinished ? [finished] : [])
        return Statement(
            name: "list_jobs",
            sql: """
                select j.id, j.lock_key, j.kind, case when $13::boolean then j.value else '' end as value, j.queue,
                       j.priority, j.run_at, j.duration_ms, j.lock_ttl_ms, j.timeout_ms, j.attempt, j.max_attempts,
                       j.state, j.error, j.fence, j.worker_id, j.submitted_at, j.started_at, j.finished_at,
                       case when $14::boolean then j.metadata end as metadata, j.traceparent, j.progress, j.progress_note
                from (
                    select j.*, sum(j.bytes) over (order by j.id desc) - j.bytes as bytes_before
                    from (
                        select s.*, case when $13::boolean then octet_length(s.value) else 0 end
                               + case when $14::boolean then coalesce(octet_length(s.metadata::text), 0) else 0 end
                                   as bytes
                        from (
                            \(branches.map { "(\($0))" }.joined(separator: "\nunion all\n"))) s
                        order by s.id desc
                        limit $8) j) j
                where j.bytes_before <= $15
                order by j.id desc
                """,
            isPrepared: false
        )
    }

    private static func unfinished(_ filter: JobFilter) -> [String] {
        let line: [(condition: String, order: String)] =
            filter.key == nil
            ? [("true", byNumber)]
            : [
                // Jobs that joined their line at once: their places are their numbers, and an index has them in that order.
                // That they are equal is said so that the planner expects many such jobs, as there are.
                (
                    "j.lock_key = $2 and j.place <= j.id and j.place >= j.id and ($7::bigint is null or j.place < $7)",
                    "j.place desc"
                ),
                // And the others, which have an index of their own.
                (
                    "j.lock_key = $2 and j.place is distinct from j.id and ($7::bigint is null or - j.id > - $7)",
                    "- j.id"
                ),
            ]
        guard !filter.states.isEmpty else { return line.map { branch("\(waiting) \($0)", by: $1) } }
        // Each state has an index of its own, unless most jobs have it.
        return Set(filter.states).flatMap { state -> [String] in
            switch state {
            case .running: return [branch(running)]
            case .scheduled: return [branch("\(waiting) j.place is null and s.state = 'scheduled'")]
            case .retrying: return [branch("\(waiting) j.attempt > 0 and s.state = 'retrying'")]
            case .queued: return line.map { branch("\(waiting) \($0) and s.state = 'queued'", by: $1) }
            case .succeeded, .failed, .cancelled: return []
            }
        }
    }

    private static let byNumber = "s.id desc"

    private static func branch(_ source: String, by order: String = byNumber) -> String {
        """
        select s.*
        \(source)
            and ($1::text[] = '{}' or s.state = any ($1)) and ($2::text is null or s.lock_key = $2)
            and ($3::text is null or s.queue = $3) and ($4::text is null or s.kind = $4)
            and ($5::timestamptz is null or s.submitted_at > $5)
            and ($6::timestamptz is null or s.submitted_at < $6) and ($7::bigint is null or s.id < $7)
        order by \(order)
        limit $8
        """
    }

    /// Those that run are found by the lines that are held.
    private static let running = """
        from holdfast.key_lines k
        cross join lateral holdfast.current_hold(k, $12) c
        join holdfast.jobs j on j.id = c.job_id
        cross join lateral holdfast.shown(j, c.fence, c.began_at) s
        where k.held_by is not null and ($2::text is null or k.lock_key = $2)
        """

    private static let waiting = """
        from holdfast.jobs j
        left join holdfast.key_lines k on k.lock_key = j.lock_key and k.held_by is not null and j.place is not null
        left join lateral holdfast.current_hold(k, $12) c on c.job_id = j.id
        cross join lateral holdfast.shown(j, c.fence, c.began_at) s
        where
        """

    private static let finished = branch(
        """
        from holdfast.finished_jobs s
        where ($9::bigint is null or s.id > $9) and s.finished_at >= $10 and s.finished_at < $11
        """
    )
}

extension JobFilter {
    /// Whether it lets unfinished jobs through.
    var mayBeUnfinished: Bool { states.isEmpty || states.contains { !$0.isFinished } }

    /// Whether it lets finished jobs through.
    var mayBeFinished: Bool { states.isEmpty || states.contains(where: \.isFinished) }
}
