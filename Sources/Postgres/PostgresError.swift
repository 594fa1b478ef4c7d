/// Why PostgreSQL did not do what it was asked.
package struct PostgresError: Error, Sendable, CustomStringConvertible {
    /// What went wrong; the part that callers switch over.
    package enum Code: String, Sendable {
        /// The connection string cannot be used as it stands.
        case badConfiguration = "bad configuration"
        /// No connection could be opened.
        case connectionFailed = "cannot connect"
        /// The connection broke; what was being done may have been done or not.
        case connectionLost = "connection lost"
        /// The server had not answered when the time was up.
        case deadline = "deadline passed"
        /// The calling task was cancelled, and the statement with it.
        case cancelled
        /// No connection of the pool became free in time, or the pool is closed.
        case poolExhausted = "no connection free"
        /// The server refused the statement; ``PostgresError/sqlState`` says why.
        case server = "refused by the server"
        /// A value of the result is not of the type that was asked for.
        case decoding = "unexpected result"
        /// A parameter cannot be sent.
        case encoding = "bad parameter"
    }

    /// What went wrong.
    package var code: Code
    /// The five characters by which PostgreSQL names its error; `nil` when it did not come from the server.
    package var sqlState: String?
    /// The name of the statement that was being run.
    package var statement: String?
    /// What the other side said, in one line; the server may quote values in it.
    package var message: String
    /// The server's detail, which often quotes values: not for logs.
    package var detail: String?
    /// The name of the constraint that was violated.
    package var constraint: String?
    /// The character of the SQL at which the server stopped, counted from 1.
    package var position: Int?
    /// What went wrong while cleaning up after this error.
    package var aftermath: String?

    package init(
        _ code: Code,
        _ message: String,
        statement: String? = nil,
        sqlState: String? = nil,
        detail: String? = nil,
        constraint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.statement = statement
        self.sqlState = sqlState
        self.detail = detail
        self.constraint = constraint
    }

    /// Whether the database is away and the same may work later: nothing is wrong with what was asked.
    package var isUnavailable: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .deadline, .poolExhausted: true
        case .badConfiguration, .cancelled, .decoding, .encoding: false
        case .server:
            // Connection exceptions, and insufficient resources: a full disk, no memory, too many connections.
            sqlState.map { $0.hasPrefix("08") || $0.hasPrefix("53") || Self.unavailableStates.contains($0) } ?? false
        }
    }

    /// Whether the server has chosen it to give way to others, by a deadlock or because it cannot be serialized: nothing was
    /// done, and the same works when it is tried again.
    package var gaveWay: Bool { sqlState == "40P01" || sqlState == "40001" }

    /// admin_shutdown, crash_shutdown, cannot_connect_now, read_only_sql_transaction (a standby), lock_not_available.
    private static let unavailableStates: Set<String> = ["57P01", "57P02", "57P03", "25006", "55P03"]

    /// One line for a log, without SQL and without values.
    package var description: String {
        var line = "PostgreSQL: \(code.rawValue)"
        if let statement { line += ", statement \(statement)" }
        if let sqlState { line += ", SQLSTATE \(sqlState)" }
        if let constraint { line += ", constraint \(constraint)" }
        line += ": \(quotesValues ? message.withoutQuotations : message)"
        if code == .connectionFailed { line += "; check that the server runs, and the connection string" }
        if let aftermath { line += "; then \(aftermath)" }
        return line
    }

    /// Data exceptions quote the value, syntax errors the SQL.
    private var quotesValues: Bool {
        sqlState.map { $0.hasPrefix("22") || $0 == "42601" } ?? false
    }
}

extension String {
    /// The text without what stands between its first and its last quotation mark.
    var withoutQuotations: String {
        guard let first = firstIndex(of: "\""), let last = lastIndex(of: "\"") else { return self }
        return self[...first] + "…" + self[last...]
    }

    /// The text with line breaks and what surrounds them made into single spaces.
    var inOneLine: String {
        split { $0.isNewline || $0 == "\t" }.joined(separator: " ")
    }
}
