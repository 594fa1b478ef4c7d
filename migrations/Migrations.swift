/// The database's schema, as forward-only steps that the program carries.
package enum Migrations {
    /// All steps, oldest first; each has its number, its name and its SQL.
    package static let all: [(version: Int, name: String, sql: String)] = [
        (1, "queue_and_history", String(decoding: PackageResources._001_queue_and_history_sql, as: UTF8.self)),
        (
            2, "places_schedules_and_control",
            String(decoding: PackageResources._002_places_schedules_and_control_sql, as: UTF8.self)
        ),
        (3, "api", String(decoding: PackageResources._003_api_sql, as: UTF8.self)),
        (4, "tokens", String(decoding: PackageResources._004_tokens_sql, as: UTF8.self)),
        (5, "audit", String(decoding: PackageResources._005_audit_sql, as: UTF8.self)),
        (6, "long_history", String(decoding: PackageResources._006_long_history_sql, as: UTF8.self)),
        (7, "fewer_readings", String(decoding: PackageResources._007_fewer_readings_sql, as: UTF8.self)),
        (8, "time_indexes", String(decoding: PackageResources._008_time_indexes_sql, as: UTF8.self)),
        (9, "found_by_claim", String(decoding: PackageResources._009_found_by_claim_sql, as: UTF8.self)),
        (10, "workers_nodes", String(decoding: PackageResources._010_workers_nodes_sql, as: UTF8.self)),
    ]
}
