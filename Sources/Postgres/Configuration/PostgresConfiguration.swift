import CLibPQ

/// How to reach a PostgreSQL server, and how long to wait for it.
package struct PostgresConfiguration: Sendable, CustomStringConvertible {
    /// A libpq connection string or URI, which may name several hosts; default: empty (libpq's own defaults).
    package let connectionString: String
    /// The name that `pg_stat_activity` shows, unless the connection string gives one; default: `holdfast`.
    package var applicationName: String
    /// How long to wait for each host, in whole seconds, at least 2 (libpq's minimum); default: 5 s.
    ///
    /// `connect_timeout` in the connection string wins.
    package var connectTimeout: Duration
    /// How long a statement may take when its caller gives no limit; default: 30 s.
    package var statementTimeout: Duration
    /// Whether connections prepare statements; default: true.
    ///
    /// Not to be done behind a pooler that lends a server for one transaction and does not keep track of them, as PgBouncer
    /// before 1.21.
    package var preparesStatements = true
    /// How statements are planned.
    package enum Planning: Sendable {
        /// As the server does by itself.
        case usual
        /// A table is read from end to end only where it cannot be otherwise: a plan that was made while the table was
        /// empty stays with its connection, and would read all of it when it is full.
        case avoidingScans
        /// As ``avoidingScans``, and one plan serves a statement whatever its parameters are: for those who have a few
        /// statements with one good plan each, and run them so often that planning would take a third of the time.
        case once
    }

    /// How statements are planned; default: ``Planning/usual``.
    package var planning = Planning.usual
    /// How long a statement waits for a lock; default 2 s.
    package var lockTimeout: Duration = .seconds(2)

    /// Makes a configuration of a connection string that libpq can parse.
    ///
    /// - Throws: ``PostgresError`` (`badConfiguration`) when it cannot be parsed.
    package init(
        connectionString: String = "",
        applicationName: String = "holdfast",
        connectTimeout: Duration = .seconds(5),
        statementTimeout: Duration = .seconds(30)
    ) throws(PostgresError) {
        _ = try Self.shownOptions(of: connectionString)
        self.connectionString = connectionString
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
    }

    /// Host, port, database and user as far as the connection string names them; never a password.
    package var description: String {
        // It was parsed when it was given.
        (try? Self.shownOptions(of: connectionString)) ?? ""
    }

    /// What libpq is given, in order: a later keyword wins over an earlier one.
    var keywords: [(String, String)] {
        [
            ("fallback_application_name", applicationName),
            ("connect_timeout", "\(max(2, connectTimeout.components.seconds))"),
            // A host that vanished is noticed after about 25 s, also by a connection that only listens.
            ("keepalives_idle", "10"),
            ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
            ("tcp_user_timeout", "20000"),
            ("dbname", connectionString),
            // Behind the user's string, so that these win: what it has of options comes first in ours.
            ("options", options),
            // Text is decoded as UTF-8.
            ("client_encoding", "UTF8"),
        ]
    }

    /// What every session has set, whatever the server, the role or the connection string says; of an option that is
    /// there twice, the last counts.
    ///
    /// A pooler may keep them from the server: see ``PostgresError/isOfPooler``.
    private var options: String {
        // A backslash at the end of theirs would take the first blank, and not the next option.
        let theirs = Self.option("options", of: connectionString).map { $0 + "  " } ?? ""
        return theirs + sessionSettings.map { "-c \($0)=\($1.replacing(" ", with: "\\ "))" }.joined(separator: " ")
    }

    private var sessionSettings: [(name: String, value: String)] {
        let all = [
            // Statements are written for this one, and tried again where another would refuse them.
            ("default_transaction_isolation", "read committed"),
            // A frozen client must not keep rows locked, nor a statement wait for such a one: others need them.
            ("idle_in_transaction_session_timeout", "5000"), ("lock_timeout", "\(lockTimeout.milliseconds)"),
            // Each statement has its own deadline here, and is cancelled then; and a connection may be idle.
            ("statement_timeout", "0"), ("idle_session_timeout", "0"),
            // What is read, written or compared as text is so in every session.
            ("TimeZone", "UTC"), ("DateStyle", "ISO,MDY"), ("IntervalStyle", "postgres"),
            ("standard_conforming_strings", "on"), ("search_path", "public"),
            // What has to be read from end to end looks too dear then not to be compiled first.
            ("jit", "off"),
        ]
        return switch planning {
        case .usual: all
        case .avoidingScans: all + [("enable_seqscan", "off")]
        case .once: all + [("enable_seqscan", "off"), ("plan_cache_mode", "force_generic_plan")]
        }
    }

    /// The value of one keyword of a connection string that can be parsed.
    private static func option(_ keyword: String, of connectionString: String) -> String? {
        guard let options = PQconninfoParse(connectionString, nil) else { return nil }
        defer { PQconninfoFree(options) }
        var option = options
        while let name = option.pointee.keyword {
            if String(cString: name) == keyword { return option.pointee.val.map { String(cString: $0) } }
            option += 1
        }
        return nil
    }

    /// The connection string as the environment of another program that uses libpq: unlike its arguments, nobody else
    /// sees a password there.
    package var environment: [String: String] {
        // It was parsed when it was given.
        guard let options = PQconninfoParse(connectionString, nil) else { return [:] }
        defer { PQconninfoFree(options) }
        var environment: [String: String] = [:]
        var option = options
        while option.pointee.keyword != nil {
            if let variable = option.pointee.envvar, let value = option.pointee.val {
                environment[String(cString: variable)] = String(cString: value)
            }
            option += 1
        }
        return environment
    }

    private static func shownOptions(of connectionString: String) throws(PostgresError) -> String {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(connectionString, &message) else {
            // libpq quotes the string, password and all.
            let reason = message.map { String(cString: $0).inOneLine.withoutQuotations } ?? "out of memory"
            PQfreemem(message)
            throw PostgresError(
                .badConfiguration,
                "the connection string cannot be parsed (\(reason)); give key=value pairs or a postgresql:// URI"
            )
        }
        defer { PQconninfoFree(options) }
        var shown: [String] = []
        var option = options
        while let keyword = option.pointee.keyword {
            let name = String(cString: keyword)
            if let value = option.pointee.val, ["host", "hostaddr", "port", "dbname", "user"].contains(name) {
                shown.append("\(name)=\(String(cString: value))")
            }
            option += 1
        }
        return shown.joined(separator: " ")
    }
}
