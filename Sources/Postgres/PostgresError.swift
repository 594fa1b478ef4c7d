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

    /// Whether the same may work later: nothing is wrong with what was asked.
    ///
    /// ``trouble`` says what is in the way.
    package var isUnavailable: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .deadline, .poolExhausted: true
        case .badConfiguration, .cancelled, .decoding, .encoding: false
        case .server:
            sqlState.map { $0.hasPrefix("08") || $0.hasPrefix("53") || Self.passing[$0] != nil } ?? false || isOfPooler
        }
    }

    /// Whether the server has chosen it to give way to others, by a deadlock or because it cannot be serialized: nothing was
    /// done, and the same works when it is tried again.
    package var gaveWay: Bool { sqlState == "40P01" || sqlState == "40001" }

    /// Whether a row was for a partition that is not there: a violated constraint would have a name.
    package var lacksPartition: Bool { sqlState == "23514" && constraint == nil }

    /// Whether somebody else kept locked what it needed.
    package var isLockTimeout: Bool { sqlState == "55P03" }

    /// Whether a pooler lends one server after the other to this connection, and does not know what it has prepared.
    package var isOfPooler: Bool { sqlState == "42P05" || sqlState == "26000" }

    /// Whether waiting does not help: somebody has to change the settings of the program, or of the server.
    package var asksForChange: Bool {
        switch code {
        case .badConfiguration: return true
        case .connectionFailed: break
        default: return false
        }
        if let sqlState {
            return sqlState.hasPrefix("28") || ["3D000", "42501", "42704", "22023"].contains(sqlState) || lacksOptions
                || sqlState == "08P01" && message.contains("does not exist")
        }
        // What libpq finds by itself has no SQLSTATE, and is in English.
        return ["no password supplied", "does not support SSL", "root certificate file", "certificate verify failed"]
            .contains { message.contains($0) }
    }

    /// What is in the way of something that ``isUnavailable``, for people who asked for it.
    package var trouble: String {
        switch code {
        case .poolExhausted: return "all connections to the database are in use"
        case .deadline: return "the database does not answer in time"
        default: break
        }
        if isOfPooler { return "a pooler does not know this program's prepared statements" }
        return sqlState.flatMap { Self.passing[$0] } ?? "the database is away"
    }

    /// States of the server's that pass, or that another try gets around.
    private static let passing = [
        "25006": "the database is read-only: it is a standby, or has been made so",
        "40001": "the database could not put this in order with what others do",
        "40P01": "the database broke a deadlock with others",
        "53100": "the database's disk is full",
        "53200": "the database is out of memory, or of locks (max_locks_per_transaction)",
        "53300": "the database has too many connections",
        "55P03": "somebody else has locked what this needs in the database",
        "57014": "somebody has cancelled this in the database",
        "57P01": "the database shuts down",
        "57P02": "the database has crashed, and recovers",
        "57P03": "the database starts up, or shuts down",
    ]

    /// PgBouncer's refusal of a session that sets anything.
    private var lacksOptions: Bool { sqlState == "08P01" && message.contains("startup parameter") }

    /// What to do about a connection that could not be opened.
    private var advice: String {
        switch sqlState {
        case "28P01", "28000": "check user and password in the connection string, and the server's pg_hba.conf"
        case "3D000": "make the database (createdb), or correct its name in the connection string"
        case "42501": "let the user connect (grant connect on database)"
        case "42704", "22023": "correct what the connection string has in options="
        case "53300": "wait, or raise the server's max_connections"
        case "57P03": "wait"
        case "08P01" where lacksOptions: "set ignore_startup_parameters = options in pgbouncer.ini"
        default: "check that the server runs, and the connection string"
        }
    }

    /// One line for a log, without SQL and without values.
    package var description: String {
        var line = "PostgreSQL: \(code.rawValue)"
        if let statement { line += ", statement \(statement)" }
        if let sqlState { line += ", SQLSTATE \(sqlState)" }
        if let constraint { line += ", constraint \(constraint)" }
        line += ": \(quotesValues ? message.withoutQuotations : message)"
        if code == .connectionFailed { line += "; \(advice)" }
        if isOfPooler {
            line += """
                ; a pooler in transaction mode does not know what was prepared: set \
                HOLDFAST_DATABASE_PREPARED_STATEMENTS=false, or max_prepared_statements of PgBouncer 1.21 or later
                """
        }
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
