import Postgres
import Redlock

/// The statements of the lock history.
enum HistoryStatements {
    /// Inserts events, which are the parameters from `$first` on: see ``parameters(_:clock:)``.
    static func insert(from first: Int) -> String {
        let types = [
            "bigint", "timestamptz", "text", "text", "bigint", "integer", "bigint", "bigint", "text", "text", "bigint",
            "bigint", "bigint", "text", "bigint", "text",
        ]
        let columns = types.enumerated().map { "$\(first + 1 + $0)::\($1)[]" }.joined(separator: ", ")
        return """
            insert into holdfast.lock_history
                (at, event, lock_key, job_id, attempt, worker_id, fence, token, votes, validity_us, waited_us, held_us,
                 reason, outcome)
            select greatest(
                       case when e.event = 'acquired' then clock_timestamp()
                            else least($\(first), clock_timestamp()) end - e.age_us * interval '1 microsecond',
                       e.not_before),
                   e.event::holdfast.lock_event, e.lock_key, e.job_id, e.attempt, e.worker_id, e.fence, e.token,
                   e.votes::jsonb, e.validity_us, e.waited_us, e.held_us, e.reason, e.outcome
            from unnest(\(columns))
                with ordinality
                as e(age_us, not_before, event, lock_key, job_id, attempt, worker_id, fence, token, votes, validity_us,
                     waited_us, held_us, reason, claim_fence, outcome, place)
            """
    }

    /// Adds events, in their order.
    static let append = Statement(name: "append_history", sql: insert(from: 1) + "\norder by e.place")

    /// Adds acquisitions, those whose claims still have their lines; a row for each of them.
    ///
    /// A claim that was put back while its worker was frozen, or while its commit was under way, starts nothing; nor does
    /// a job that was cancelled. Its row is locked, so that it is either begun or cancelled. A line is found by
    /// the number of its claim, as a settle finds it; a job by its id, given twice for the same reason as there.
    static let writeAhead = Statement(
        name: "write_ahead_history",
        sql: insert(from: 1) + """

            cross join lateral (
                select
                from holdfast.key_lines k
                where k.held_by = e.worker_id and k.fence = e.claim_fence
                limit 1) k
            join holdfast.jobs j on j.id = e.job_id and j.id = any($6)
            order by e.place
            for key share of j
            returning fence, at
            """
    )

    /// When each hold began, by its job's fence: the rows of ``writeAhead``.
    static func starts(_ rows: Rows) throws(PostgresError) -> [Fence: PostgresTimestamp] {
        var starts: [Fence: PostgresTimestamp] = [:]
        for row in rows {
            starts[Fence(try row.decode(Int64.self, at: 0))] = try row.decode(PostgresTimestamp.self, at: 1)
        }
        return starts
    }

    /// Events as parameters of ``insert(from:)``.
    ///
    /// An acquisition's time is what the server's clock shows when it is written, less its age: never before the true one.
    /// Any other's is counted from an earlier reading, and never after the true one. So what is recorded is a part of the
    /// true hold.
    ///
    /// - Parameters:
    ///   - events: What is to be added.
    ///   - clock: The server's; needed for other events than acquisitions.
    /// - Returns: One for each `$n`.
    static func parameters(_ events: [Box<LockEvent>], clock: ServerClock? = nil) -> [Parameter] {
        let now = ContinuousClock.now
        return [
            .timestamp(clock?.time(at: now)),
            .int64s(events.map { $0.value.moment.duration(to: now).microseconds }),
            .optionalTimestamps(events.map { $0.value.notBefore }),
            .texts(events.map { $0.value.kind.rawValue }),
            .texts(events.map { $0.value.key.text }),
            .int64s(events.map { $0.value.job.rawValue }),
            .int32s(events.map { Int32($0.value.attempt) }),
            .int64s(events.map { $0.value.worker.rawValue }),
            .int64s(events.map { $0.value.fence.rawValue }),
            .optionalTexts(events.map { $0.value.token }),
            .optionalTexts(events.map { $0.value.votes.isEmpty ? nil : json($0.value.votes) }),
            .optionalInt64s(events.map { $0.value.validity?.microseconds }),
            .optionalInt64s(events.map { $0.value.waited?.microseconds }),
            .optionalInt64s(events.map { $0.value.held?.microseconds }),
            .optionalTexts(events.map { $0.value.reason?.bounded }),
            .int64s(events.map { $0.value.claimFence.rawValue }),
            .optionalTexts(events.map { $0.value.outcome }),
        ]
    }

    private static func json(_ votes: [Vote]) -> String {
        var text = "["
        text.reserveCapacity(votes.count * 80)
        for vote in votes {
            text += text.utf8.count > 1 ? #",{"node":""# : #"{"node":""#
            text += escaped(vote.node)
            text += #"","verdict":""#
            text += vote.verdict.rawValue
            text += #"","us":"#
            text += String(vote.latency.microseconds)
            text += "}"
        }
        text += "]"
        return text
    }

    /// Looked through first: a host's name has nothing to be escaped, and this is done for each node's vote.
    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else { return text }
        return text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }
}
