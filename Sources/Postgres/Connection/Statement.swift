/// A statement and the name it goes by, in the server's cache and in the log.
package struct Statement: Sendable {
    /// A name that no other statement of the program has.
    package let name: String
    /// One SQL command, its parameters `$1`, `$2` and so on.
    package let sql: String
    /// Whether each connection prepares it once, and then only sends its name.
    package let isPrepared: Bool

    package init(name: String, sql: String, isPrepared: Bool = true) {
        self.name = name
        self.sql = sql
        self.isPrepared = isPrepared
    }
}
