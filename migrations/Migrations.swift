/// The database's schema, as forward-only steps that the program carries.
package enum Migrations {
    /// All steps, oldest first; each has its number, its name and its SQL.
    package static let all: [(version: Int, name: String, sql: String)] = [
        (1, "queue_and_history", String(decoding: PackageResources._001_queue_and_history_sql, as: UTF8.self))
    ]
}
