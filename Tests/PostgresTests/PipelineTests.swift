import LocalStack
import NIOCore
import Postgres
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Transactions whose statements are sent with their `begin` and with their `commit`.
@Suite(.timeLimit(.minutes(2)))
struct PipelineTests {
    private let insert = Statement(name: "insert", sql: "insert into t values ($1)")
    private let echo = Statement(name: "echo", sql: "select $1::bigint as value")
    private let sleep = BoundStatement(Statement(name: "sleep", sql: "select pg_sleep(600)"))

    private func makeTable(_ connection: PostgresConnection) async throws {
        try await connection.executeScript(
            """
            create temporary table t (
                id bigint constraint positive check (id > 0),
                constraint once unique (id) deferrable initially deferred)
            """
        )
    }

    private func inserting(_ id: Int64) -> BoundStatement { BoundStatement(insert, [.int64(id)]) }

    private func echoing(_ value: Int64) -> BoundStatement { BoundStatement(echo, [.int64(value)]) }

    private func ids(_ connection: PostgresConnection) async throws -> [Int64] {
        try await connection.execute(Statement("select id from t order by id")).map { try $0.decode(at: 0) }
    }

    /// That a connection serves the next borrower as if nothing had been.
    private func expectGood(_ connection: PostgresConnection) async throws {
        #expect(connection.isReusable)
        try await connection.withTransaction(startingWith: [echoing(1)]) { connection, first in
            let last = try await connection.commit(after: [echoing(2)])
            #expect(try [first[0][0].decode(Int.self, at: 0), last[0][0].decode(Int.self, at: 0)] == [1, 2])
        }
        #expect(connection.isReusable)
    }

    @Test(arguments: [true, false])
    func `each statement's rows come in the statements' order`(prepares: Bool) async throws {
        var configuration = try await TestServers.postgres().configuration()
        configuration.preparesStatements = prepares
        let connection = try await PostgresConnection.open(configuration, logger: .quiet)
        try await makeTable(connection)
        for round in 0..<2 {
            let values = try await connection.withTransaction(
                startingWith: [echoing(1), inserting(Int64(10 + round)), echoing(2), echoing(3)]
            ) { connection, first in
                #expect(first.map(\.count) == [1, 0, 1, 1])
                #expect(first[1].affected == 1)
                let last = try await connection.commit(after: [echoing(4), inserting(Int64(20 + round)), echoing(5)])
                #expect(last.map(\.count) == [1, 0, 1])
                return try (first + last).flatMap { rows in try rows.map { try $0.decode(Int.self, at: 0) } }
            }
            #expect(values == [1, 2, 3, 4, 5])
        }
        #expect(try await ids(connection) == [10, 11, 20, 21])
        let prepared = try await connection.execute(Statement("select from pg_prepared_statements"))
        #expect(prepared.count == (prepares ? 2 : 0))
    }

    @Test func `a body that does not commit itself is committed, and one that throws is rolled back`() async throws {
        struct Oops: Error {}
        let connection = try await connect()
        try await makeTable(connection)
        try await connection.withTransaction(startingWith: [inserting(1)]) { _, _ in }
        await #expect(throws: Oops.self) {
            try await connection.withTransaction(startingWith: [inserting(2)]) { _, _ in throw Oops() }
        }
        #expect(try await ids(connection) == [1])
        try await expectGood(connection)
        // The one before it did.
        try await connection.withTransaction(startingWith: [inserting(3)]) { _, _ in }
        #expect(connection.isReusable, "it is still open")
        #expect(try await ids(connection) == [1, 3])
    }

    @Test func `an error among the first names its statement, and all is rolled back`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let error = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1), inserting(-1), echoing(2)]) { _, _ in
                _ = Issue.record("the body was run")
            }
        }
        #expect(error?.code == .server && error?.statement == "insert" && error?.constraint == "positive")
        #expect(error?.aftermath == nil)
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `an error among the last names its statement, and nothing is committed`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let divide = BoundStatement(Statement(name: "divide", sql: "select 1 / $1::bigint"), [.int64(0)])
        let error = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1)]) { connection, _ in
                _ = try await connection.commit(after: [inserting(2), divide, inserting(3)])
            }
        }
        #expect(error?.statement == "divide" && error?.sqlState == "22012")
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `a statement that cannot be prepared is named, and what was begun is rolled back`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let wrong = BoundStatement(Statement(name: "wrong", sql: "select nothing"))
        let first = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1), wrong]) { _, _ in }
        }
        #expect(first?.statement == "wrong" && first?.sqlState == "42703")
        let last = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1)]) { connection, _ in
                _ = try await connection.commit(after: [inserting(2), wrong])
            }
        }
        #expect(last?.statement == "wrong" && last?.sqlState == "42703")
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `a constraint that is checked at the commit is an error of the commit`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let error = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1)]) { connection, _ in
                _ = try await connection.commit(after: [inserting(1)])
            }
        }
        #expect(error?.statement == "commit" && error?.constraint == "once")
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `a commit whose failure is passed over is not taken for done`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let error = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1)]) { connection, _ in
                _ = try await postgresError { _ = try await connection.commit(after: [inserting(1)]) }
            }
        }
        #expect(error?.statement == "commit" && error?.sqlState == "25P01")
        try await expectGood(connection)
    }

    @Test func `what a parameter cannot hold is found before anything is sent`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let text = BoundStatement(Statement(name: "text", sql: "select $1::text"), [.text("a\0b")])
        let error = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1), text]) { _, _ in }
        }
        #expect(error?.code == .encoding && error?.statement == "text")
        try await expectGood(connection)
    }

    @Test func `a task that was cancelled before begins nothing, and commits nothing`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await connection.withTransaction(startingWith: [inserting(1)]) { _, _ in }
        }
        #expect(try await postgresError { try await early.value }?.code == .cancelled)
        let late = Task {
            try await connection.withTransaction(startingWith: [inserting(2)]) { connection, _ in
                withUnsafeCurrentTask { $0?.cancel() }
                _ = try await connection.commit(after: [inserting(3)])
            }
        }
        #expect(try await postgresError { try await late.value }?.code == .cancelled)
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `cancelling the task cancels the first statements, and rolls back`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        try await makeTable(connection)
        let task = Task {
            try await connection.withTransaction(startingWith: [inserting(1), sleep, inserting(2)]) { _, _ in }
        }
        try await waitUntilBusy(connection.backendID, on: server)
        task.cancel()
        let error = try await postgresError { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `what has been sent with the commit is not cancelled with the task`() async throws {
        let server = try await TestServers.postgres()
        let (connection, holder) = (try await server.connect(), try await server.connect())
        try await makeTable(connection)
        _ = try await holder.execute(Statement("select pg_advisory_lock(815)"))
        try await connection.executeScript("set lock_timeout = 0")
        let wait = BoundStatement(Statement(name: "wait", sql: "select pg_advisory_xact_lock(815)"))
        let hasBegun = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await connection.withTransaction(startingWith: [inserting(1)]) { connection, _ in
                hasBegun.continuation.finish()
                _ = try await connection.commit(after: [wait, inserting(2)])
            }
        }
        for await _ in hasBegun.stream {}
        try await waitUntilBusy(connection.backendID, on: server)
        task.cancel()
        _ = try await holder.execute(Statement("select pg_advisory_unlock(815)"))
        try await task.value
        #expect(try await ids(connection) == [1, 2])
        try await expectGood(connection)
    }

    @Test func `statements past their deadline are cancelled, and rolled back`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        // Long enough for the server to be asleep by then: it takes no notice of a cancel between two statements.
        let limit = Duration.seconds(2)
        let first = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1), sleep], within: limit) { _, _ in }
        }
        #expect(first?.code == .deadline && first?.statement == "sleep")
        let last = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(1)]) { connection, _ in
                _ = try await connection.commit(after: [inserting(2), sleep], within: limit)
            }
        }
        #expect(last?.code == .deadline && last?.statement == "sleep")
        #expect(try await ids(connection).isEmpty)
        try await expectGood(connection)
    }

    @Test func `a frozen server cannot hold a caller, and the commit is in doubt once it has been sent`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1)
        for freezesFirst in [true, false] {
            let error = try await postgresError {
                try await pool.withConnection { connection in
                    defer { kill(connection.backendID, SIGCONT) }
                    if freezesFirst { kill(connection.backendID, SIGSTOP) }
                    try await connection.withTransaction(
                        startingWith: [.init(Statement("select 1"))],
                        within: freezesFirst ? .milliseconds(20) : nil
                    ) { connection, _ in
                        kill(connection.backendID, SIGSTOP)
                        _ = try await connection.commit(
                            after: [.init(Statement("select 2"))],
                            within: .milliseconds(20)
                        )
                    }
                }
            }
            #expect(error?.code == .deadline)
            #expect((error?.statement == "commit") == !freezesFirst)
            #expect(pool.status == PoolStatus(), "a connection that nobody knows the state of is not lent again")
        }
        #expect(try await pool.execute(Statement("select 1")).count == 1)
    }

    @Test(arguments: [true, false])
    func `a commit during which the connection is lost is in doubt`(isReceived: Bool) async throws {
        let server = try await TestServers.makePostgres()
        try await server.connect().executeScript("create table t (id bigint)")
        let isLosing = Atomic(false)
        let hasLost = AsyncStream.makeStream(of: Void.self)
        let proxy = try await TestProxy(to: SocketAddress(unixDomainSocketPath: server.socket)) { piece in
            guard isLosing.load(ordering: .relaxed) else { return piece.pass() }
            if piece.isRequest, isReceived { return piece.pass() }
            // Neither the commit's answer, nor the commit itself, gets through.
            piece.from.close(promise: nil)
            piece.to.close(promise: nil)
            hasLost.continuation.finish()
        }
        let connection = try await PostgresConnection.open(
            PostgresConfiguration(
                connectionString:
                    "host=127.0.0.1 port=\(proxy.port) user=holdfast dbname=postgres sslmode=disable gssencmode=disable"
            ),
            logger: .quiet
        )
        // Prepared, so that what is sent while it is lost is the statement and the commit.
        try await connection.withTransaction(startingWith: [inserting(1)]) { _, _ in }
        let error = try await postgresError {
            try await connection.withTransaction(startingWith: [inserting(2)]) { connection, _ in
                isLosing.store(true, ordering: .relaxed)
                _ = try await connection.commit(after: [inserting(3)])
            }
        }
        for await _ in hasLost.stream {}
        #expect(error?.code == .connectionLost && error?.statement == "commit")
        #expect(connection.isBroken)
        #expect(try await ids(server.connect()) == (isReceived ? [1, 2, 3] : [1]))
        await server.stop()
        withExtendedLifetime(proxy) {}
    }

    @Test func `a backend that is killed before its commit was sent leaves no doubt`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        let task = Task {
            try await connection.withTransaction(startingWith: [sleep]) { _, _ in }
        }
        try await waitUntilBusy(connection.backendID, on: server)
        _ = try await server.connect().execute(
            Statement("select pg_terminate_backend($1)"),
            [.int32(connection.backendID)]
        )
        let error = try await postgresError { try await task.value }
        #expect(error?.code == .connectionLost && error?.statement == "sleep" && error?.sqlState == "57P01")
        #expect(connection.isBroken)
    }

    @Test func `megabytes go and come in one round trip`() async throws {
        let connection = try await connect()
        // More than any socket holds, in both directions at once: who only wrote would wait for ever.
        let texts = (0..<64).map { String(repeating: "\($0 % 10)", count: 256 << 10) }
        let back = BoundStatement(Statement(name: "back", sql: "select unnest($1::text[])"), [.texts(texts)])
        let rows = try await connection.withTransaction(
            startingWith: [back, back],
            within: .seconds(60)
        ) { connection, first in
            first + (try await connection.commit(after: [back, back], within: .seconds(60)))
        }
        #expect(rows.count == 4)
        for rows in rows { #expect(try rows.map { try $0.decode(String.self, at: 0) } == texts) }
        try await expectGood(connection)
    }
}
