import Postgres

/// The statements of an audit.
enum AuditStatements {
    static let overlaps = Statement(
        name: "audit_overlaps",
        sql: """
            select format('key %s: the hold of fence %s began at %s, while that of fence %s lasted', lock_key, second_fence,
                          second_acquired_at, first_fence)
            from holdfast.lock_overlaps
            limit $1
            """
    )

    static let regressions = Statement(
        name: "audit_regressions",
        sql: """
            select format('history %s: fence %s of key %s was acquired after fence %s', id, fence, lock_key, highest_before)
            from holdfast.fence_regressions
            limit $1
            """
    )

    static let unclosed = Statement(
        name: "audit_unclosed",
        sql: """
            select format('key %s: the hold of job %s, fence %s, was over at %s, and no end is recorded', lock_key, job_id,
                          fence, valid_until)
            from holdfast.unclosed_holds
            limit $1
            """
    )

    static let unrecorded = Statement(
        name: "audit_unrecorded",
        sql: """
            select format('key %s: the value node has fence %s, the history no higher one than %s', lock_key, fence,
                          coalesce(recorded::text, 'none'))
            from holdfast.unrecorded_effects($1, $2)
            """
    )

    static let chain = Statement(
        name: "audit_chain",
        sql: "select coalesce(min(number), 0), coalesce(max(number), -1) from holdfast.history_seals"
    )

    static let seals = Statement(
        name: "audit_seals",
        sql: """
            select concat_ws(' ', 'history ' || history_id || ' was ' || problem,
                             case when history_id is null then 'seal ' || number || ': ' || problem end)
            from holdfast.verify_seals($1, $2)
            limit $3
            """
    )

    static let head = Statement(name: "audit_head", sql: "select head from holdfast.seal_head")

    /// Whether a seal that was noted once is in the chain; no row when the chain begins after it or has not come to it.
    static let known = Statement(
        name: "audit_known_seal",
        sql: "select encode(seal, 'hex') = $2 from holdfast.history_seals where number = $1"
    )

    /// The last events of a key in a span of time, the latest first: for people, or as JSON.
    static let lastEvents = Statement(
        name: "audit_last_events",
        sql: """
            select h.id, h.at, \(line)
            from holdfast.lock_history h
            where h.lock_key = $1 and h.at >= $4 and h.at < $5
            order by h.at desc, h.id desc
            limit $3
            """,
        isPrepared: false
    )

    /// The events of a key since a time.
    static let eventsSince = Statement(
        name: "audit_events_since",
        sql: """
            select h.id, h.at, \(line)
            from holdfast.lock_history h
            where h.lock_key = $1 and h.at >= $3
            order by h.at, h.id
            """,
        isPrepared: false
    )

    private static let line = """
        case when $2 then holdfast.event_json(h::holdfast.lock_history) else concat_ws('  ',
            holdfast.rfc3339(h.at), rpad(h.event::text, 8), 'job ' || h.job_id, 'attempt ' || h.attempt,
            'worker ' || h.worker_id, 'fence ' || h.fence, h.outcome, 'waited ' || round(h.waited_us / 1000.0, 1) || ' ms',
            'held ' || round(h.held_us / 1000.0, 1) || ' ms',
            holdfast.votes_text(h.votes, true, h.node_set), h.reason) end
        """
}
