import Postgres
import Redlock

/// The statement of a settle; what it does is in the schema's function.
enum SettleStatements {
    /// What became of claims: a row for each.
    static let settle = FunctionCall<SettleBatch>(
        "holdfast.settle",
        returning: "line, result, acquired_at, gone",
        [
            ("worker", { .int64($0.worker.rawValue) }),
            ("give_up_at", { .timestamp($0.giveUpAt) }),
            ("clock_reads", { .timestamp($0.clockReads) }),
            ("in_doubt", { .bool($0.isInDoubt) }),
            ("waits", { .bool($0.waits) }),
            // The claims.
            ("l_keys", { .texts($0.lines.map(\.key.text)) }),
            ("l_fences", { .int64s($0.lines.map(\.fence.rawValue)) }),
            ("l_frees", { .bools($0.lines.map(\.isFreed)) }),
            ("l_past_places", { .int64s($0.lines.map(\.pastPlace)) }),
            ("l_delays_us", { .int64s($0.lines.map(\.delay.microseconds)) }),
            ("l_kept_out", { .bools($0.lines.map(\.isKeptOut)) }),
            // Jobs that are over.
            ("f_lines", { .int32s($0.finished.map(\.line)) }),
            ("f_ids", { .int64s($0.finished.map(\.item.job.id.rawValue)) }),
            ("f_states", { .texts($0.finished.map(\.item.state.rawValue)) }),
            ("f_errors", { .optionalTexts($0.finished.map { $0.item.error?.bounded }) }),
            ("f_fences", { .int64s($0.finished.map(\.item.job.fence.rawValue)) }),
            ("f_attempts", { .int32s($0.finished.map { Int32($0.item.job.attempt) }) }),
            ("f_started_at", { .optionalTimestamps($0.startTimes) }),
            // Jobs that are to run again.
            ("r_lines", { .int32s($0.retried.map(\.line)) }),
            ("r_ids", { .int64s($0.retried.map(\.item.job.id.rawValue)) }),
            ("r_attempts", { .int32s($0.retried.map { Int32($0.item.attempts) }) }),
            ("r_errors", { .texts($0.retried.map(\.item.error.bounded)) }),
            ("r_fences", { .int64s($0.retried.map(\.item.job.fence.rawValue)) }),
            ("r_numbers", { .int32s($0.retried.map { Int32($0.item.job.attempt) }) }),
            // Events.
            ("nodes", { .texts($0.votes.nodes) }),
            ("all_votes", { .int16s($0.votes.packed) }),
            ("all_jobs", { .int64s($0.served.jobs) }),
            ("all_fences", { .int64s($0.served.fences) }),
            ("e_lines", { .int32s($0.events.map(\.line)) }),
            ("e_events", { .texts($0.events.map(\.item.value.kind.rawValue)) }),
            (
                "e_ages_us",
                { batch in .int64s(batch.events.map { $0.item.value.moment.duration(to: batch.now).microseconds }) }
            ),
            ("e_not_before", { .optionalTimestamps($0.events.map(\.item.value.notBefore)) }),
            ("e_jobs", { .int64s($0.events.map(\.item.value.job.rawValue)) }),
            ("e_attempts", { .int32s($0.events.map { Int32($0.item.value.attempt) }) }),
            ("e_fences", { .int64s($0.events.map(\.item.value.fence.rawValue)) }),
            ("e_tokens", { .optionalTexts($0.events.map(\.item.value.token)) }),
            ("e_votes", { .optionalInt32s($0.votes.starts) }),
            (
                "e_validities_us",
                { .optionalInt32s($0.events.map { $0.item.value.validity.map { Int32(clamping: $0.microseconds) } }) }
            ),
            ("e_waited_us", { .optionalInt64s($0.events.map { $0.item.value.waited?.microseconds }) }),
            ("e_held_us", { .optionalInt64s($0.events.map { $0.item.value.held?.microseconds }) }),
            ("e_outcomes", { .optionalTexts($0.events.map(\.item.value.outcome)) }),
            ("e_serves_from", { .optionalInt32s($0.served.from) }),
            ("e_serves_upto", { .optionalInt32s($0.served.upto) }),
            ("e_reasons", { .optionalTexts($0.events.map { $0.item.value.reason?.bounded }) }),
        ]
    )
}
