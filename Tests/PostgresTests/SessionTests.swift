import Foundation
import LocalStack
import Postgres
import TestSupport
import Testing

/// What a session has set, and what a connection that is refused says.
@Suite(.timeLimit(.minutes(2)))
struct SessionTests {
    /// In each session, whatever anybody else says.
    private static let settings = [
        "default_transaction_isolation": "read committed", "TimeZone": "UTC", "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "5s",
        "statement_timeout": "0", "idle_session_timeout": "0", "jit": "off", "standard_conforming_strings": "on",
        "search_path": "public",
    ]

    @Test(arguments: [
        "", "&options=-c%20lock_timeout%3D0%20-c%20work_mem%3D64MB%20-c%20DateStyle%3DGerman",
        "&options=-c%20work_mem%3D64MB%20-c%20application_name%3Dx%5C",
    ])
    func `the product's settings win over those of server, role and connection string`(options: String) async throws {
        let server = try await TestServers.makePostgres(settings: [
            "default_transaction_isolation=serializable", "timezone=Asia/Kolkata", "datestyle=SQL,DMY",
            "statement_timeout=1234", "idle_session_timeout=1234567",
        ])
        try await server.connect().executeScript(
            """
            alter role holdfast set standard_conforming_strings = off;
            alter role holdfast set search_path = pg_temp, pg_catalog;
            alter role holdfast set intervalstyle = 'sql_standard';
            """
        )
        let connection = try await PostgresConnection.open(
            PostgresConfiguration(connectionString: server.connectionString() + options),
            logger: .quiet
        )
        for (name, value) in Self.settings {
            let rows = try await connection.execute(Statement("select current_setting($1)"), [.text(name)])
            #expect(try rows[0].decode(String.self, at: 0) == value, "\(name)")
        }
        if options.contains("work_mem") {
            let rows = try await connection.execute(Statement("select current_setting('work_mem')"))
            #expect(try rows[0].decode(String.self, at: 0) == "64MB")
        }
        await server.stop()
    }

    @Test func `statements that meet each other are not serialized, whatever the server's default is`() async throws {
        let server = try await TestServers.makePostgres(settings: ["default_transaction_isolation=serializable"])
        try await server.connect().executeScript("create table counts (n integer); insert into counts values (0)")
        let pool = try server.pool(size: 8)
        try await withThrowingTaskGroup { group in
            for _ in 0..<64 { group.addTask { _ = try await pool.execute(Statement("update counts set n = n + 1")) } }
            try await group.waitForAll()
        }
        #expect(try await pool.execute(Statement("select n from counts"))[0].decode(Int.self, at: 0) == 64)
        await server.stop()
    }

    @Test func `a wrong password and a missing database ask for a change, and are told by their SQLSTATE`() async throws
    {
        let rules = TestServers.makeFolder("rules")
        try "local all locked scram-sha-256\nlocal all shut reject\nlocal all all trust\n"
            .write(toFile: rules, atomically: true, encoding: .utf8)
        let server = try await TestServers.makePostgres(settings: ["hba_file=\(rules)"])
        try await server.connect().executeScript("create role locked login password 'right'; create role shut login")
        let wrong = server.connectionString(user: "locked")
        for (url, state, advice) in [
            (wrong + "&password=wrong", "28P01", "check user and password"),
            (server.connectionString(user: "shut"), "28000", "pg_hba.conf"),
            (server.connectionString(user: "nobody"), "28000", "check user and password"),
            (server.connectionString(database: "nowhere"), "3D000", "createdb"),
            (server.connectionString() + "&options=-c%20nothing%3D1", "42704", "options="),
            (wrong, nil, "no password supplied"),
        ] as [(String, String?, String)] {
            let error = try await postgresError {
                _ = try await PostgresConnection.open(PostgresConfiguration(connectionString: url), logger: .quiet)
            }
            #expect(error?.code == .connectionFailed && error?.sqlState == state, "\(url) \(String(describing: error))")
            #expect(
                error?.asksForChange == true && error?.description.contains(advice) == true,
                "\(String(describing: error))"
            )
            #expect(error?.description.contains("LOCATION") == false)
        }
        await server.stop()
        let away = try await postgresError { _ = try await server.connect() }
        #expect(away?.asksForChange == false && away?.isUnavailable == true)
    }

    @Test func `of several hosts, one that may come back is waited for`() {
        let wrong = #"connection to server at "a" failed: FATAL:  28P01: password authentication failed"#
        let away = #"connection to server at "b" failed: Connection refused"#
        let starting = #"connection to server at "c" failed: FATAL:  57P03: the database system is starting up"#
        #expect(PostgresError(connectionRefused: wrong).asksForChange)
        #expect(!PostgresError(connectionRefused: "\(wrong); \(away)").asksForChange)
        #expect(!PostgresError(connectionRefused: "\(away); \(wrong)").asksForChange)
        let both = PostgresError(connectionRefused: "\(wrong); \(starting); LOCATION:  x, y.c:1")
        #expect(!both.asksForChange && both.trouble == "the database starts up, or shuts down")
        #expect(both.message.hasSuffix("FATAL:  the database system is starting up"))
    }

    @Test func `an encoding other than UTF8 is refused, with what to do`() async throws {
        let server = try await TestServers.postgres()
        try await server.connect().executeScript(
            "create database ascii encoding 'SQL_ASCII' locale 'C' template template0"
        )
        let error = try await postgresError {
            _ = try await PostgresConnection.open(
                PostgresConfiguration(connectionString: server.connectionString(database: "ascii")),
                logger: .quiet
            )
        }
        #expect(error?.code == .badConfiguration && error?.asksForChange == true)
        #expect(error?.description.contains("encoding is SQL_ASCII, and must be UTF8") == true)
    }
}

struct OutageNoticeTests {
    @Test func `an outage is told at once and then once a minute, and so is the next one`() {
        var notice = OutageNotice()
        let start = ContinuousClock.now
        let told = [0, 1, 59, 60, 61].map { notice.failed(at: start + .seconds($0)) }
        #expect(told == [true, false, false, true, false])
        let lengths = [62, 63].map { notice.succeeded(at: start + .seconds($0)) }
        #expect(lengths == [.seconds(62), nil])
        let isToldAgain = notice.failed(at: start + .seconds(64))
        #expect(isToldAgain)
    }
}
