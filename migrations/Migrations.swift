import PlantedBugs

/// The database's schema, as forward-only steps that the program carries.
package enum Migrations {
    /// All steps, oldest first; each has its number, its name and its SQL.
    package static let all: [(version: Int, name: String, sql: String)] = [
        (1, "queue", text(PackageResources._001_queue_sql).plantingInQueue),
        (2, "history", text(PackageResources._002_history_sql)),
        (3, "work", text(PackageResources._003_work_sql).plantingInWork),
        (4, "control", text(PackageResources._004_control_sql)),
        (5, "audit", text(PackageResources._005_audit_sql)),
        (6, "access", text(PackageResources._006_access_sql)),
    ]

    /// The roles, and what they are granted: a part of the last step, which can be done again at any time.
    ///
    /// A restored backup may have neither.
    package static let access: String = {
        let step = text(PackageResources._006_access_sql)
        guard let start = step.firstRange(of: "-- Roles ---") else {
            preconditionFailure("the step has no part on roles")
        }
        return String(step[start.lowerBound...])
    }()

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// What a debug build can be made to have wrong in SQL.
extension String {
    fileprivate var plantingInQueue: String {
        planting(
            .enqueueWithoutLock,
            """
            on conflict (lock_key) do update set priority = excluded.priority where key_lines.priority > excluded.priority;
                -- What was submitted earlier
            """,
            """
            on conflict (lock_key) do nothing;
                -- What was submitted earlier
            """
        )
        .planting(
            .replyBeforeCommit,
            "    -- Lines first: a conflict takes",
            "    perform set_config('synchronous_commit', 'off', true);\n    -- Lines first: a conflict takes"
        )
    }

    fileprivate var plantingInWork: String {
        planting(
            .turnDrawnTwice,
            "turn = case when l_delays_us[e.ordinal] > 0 then null else nextval('holdfast.turn') end",
            "turn = case when l_delays_us[e.ordinal] > 0 then null else (select s.last_value from holdfast.turn s) end"
        )
        .planting(.claimsOutOfOrder, "            order by k.turn\n", "            order by k.turn desc\n")
        .planting(
            .rescueByClock,
            "        select id from holdfast.workers) w) gap",
            "        select id from holdfast.workers where beat_at > clock_timestamp() - interval '5 seconds') w) gap"
        )
        .planting(
            .freeingWithWeakLock,
            """
            k.fence = l_fences[l.ordinal]
                                for update skip locked
            """,
            """
            k.fence = l_fences[l.ordinal]
                                for key share skip locked
            """
        )
        // The last ones: they replace what others look for.
        .planting(.lostWakeup, "l_delays_us[e.ordinal]", "900000000000000")
        .planting(
            .settleWithoutFence,
            "k.held_by = worker and k.fence = l_fences[l.ordinal]",
            "k.lock_key = l_keys[l.ordinal]"
        )
    }
}
