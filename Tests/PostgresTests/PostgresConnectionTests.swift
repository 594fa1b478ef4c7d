import InMemoryLogging
import LocalStack
import Logging
import Postgres
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite(.timeLimit(.minutes(2)))
struct PostgresConnectionTests {
    @Test func `rows are a collection, with the number of those affected`() async throws {
        let connection = try await connect()
        let rows = try await connection.execute(Statement("select n, n * 2 as twice from generate_series(1, 3) as n"))
        #expect(rows.columns == ["n", "twice"])
        #expect(try rows.map { try $0.decode(Int.self, named: "twice") } == [2, 4, 6])
        try await connection.executeScript("create temporary table t (id bigint)")
        let statement = Statement("insert into t select unnest($1)")
        #expect(try await connection.execute(statement, [.int64s([1, 2])]).affected == 2)
    }

    @Test func `a statement is prepared once for each list of types`() async throws {
        let connection = try await connect()
        let statement = Statement(name: "echo", sql: "select $1::text as value")
        let parameters: [Parameter] = [.text("a"), .text("b"), .text(nil), .null, .null]
        for parameter in parameters { _ = try await connection.execute(statement, [parameter]) }
        let count = try await connection.execute(Statement("select count(*) from pg_prepared_statements"))
        #expect(try count[0].decode(Int.self, at: 0) == 2)
    }

    @Test func `a statement whose result has changed since it was prepared retires its connection`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1)
        let statement = Statement(name: "all", sql: "select * from retire_me")
        try await pool.withConnection {
            try await $0.executeScript("drop table if exists retire_me; create table retire_me (id bigint)")
            _ = try await $0.execute(statement)
            try await $0.executeScript("alter table retire_me add column more text")
        }
        let error = try await postgresError { _ = try await pool.execute(statement) }
        #expect(error?.sqlState == "0A000")
        #expect(try await pool.execute(statement).columns == ["id", "more"])
    }

    @Test func `5,000 rows go in one statement and come back in order`() async throws {
        let connection = try await connect()
        try await connection.executeScript("create temporary table batch (id bigint, name text, due timestamptz)")
        let ids = (0..<5_000).map(Int64.init)
        let rows = try await connection.execute(
            Statement("insert into batch select * from unnest($1, $2, $3) returning id, name, due"),
            [
                .int64s(ids), .optionalTexts(ids.map { $0 % 3 == 0 ? nil : "name \($0)" }),
                .timestamps(ids.map { PostgresTimestamp(microseconds: $0) }),
            ]
        )
        #expect(rows.affected == 5_000)
        #expect(try rows.map { try $0.decode(Int64.self, at: 0) } == ids)
        #expect(try rows[4_999].decodeIfPresent(String.self, at: 1) == "name 4999")
        #expect(try rows[4_998].decodeIfPresent(String.self, at: 1) == nil)
        #expect(try rows[4_999].decode(PostgresTimestamp.self, at: 2).microseconds == 4_999)
    }

    @Test func `a violated constraint is named, with its SQLSTATE`() async throws {
        let connection = try await connect()
        try await connection.executeScript("create temporary table t (id bigint constraint only_once unique)")
        let statement = Statement(name: "insert", sql: "insert into t values ($1)")
        _ = try await connection.execute(statement, [.int64(4_711)])
        let error = try await postgresError { _ = try await connection.execute(statement, [.int64(4_711)]) }
        #expect(error?.code == .server)
        #expect(error?.sqlState == "23505")
        #expect(error?.constraint == "only_once")
        #expect(error?.statement == "insert")
        #expect(error?.detail?.contains("4711") == true)
        #expect(error?.description.contains("4711") == false)
        #expect(!connection.isBroken)
    }

    @Test func `a script tells the line of its error`() async throws {
        let connection = try await connect()
        let error = try await postgresError { try await connection.executeScript("select 1;\n\nselect nothing;") }
        #expect(error?.sqlState == "42703")
        #expect(error?.message.contains("line 3") == true)
    }

    @Test func `COPY where a statement belongs gives up the connection`() async throws {
        let connection = try await connect()
        let error = try await postgresError { _ = try await connection.execute(Statement("copy (select 1) to stdout")) }
        #expect(error?.code == .encoding)
        #expect(connection.isBroken)
    }

    @Test func `a statement past its deadline is cancelled, and its connection goes on`() async throws {
        let connection = try await connect()
        let error = try await postgresError {
            _ = try await connection.execute(Statement("select pg_sleep(600)"), within: .milliseconds(20))
        }
        #expect(error?.code == .deadline)
        #expect(error?.isUnavailable == true)
        #expect(connection.isReusable)
        #expect(try await connection.execute(Statement("select 1")).count == 1)
    }

    @Test func `cancelling the task cancels the statement, and never the next one`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        for _ in 1...20 {
            let sleeper = Task { try await connection.execute(Statement("select pg_sleep(600)")) }
            try await waitUntilBusy(connection.backendID, on: server)
            sleeper.cancel()
            let error = try await postgresError { _ = try await sleeper.value }
            #expect(error?.code == .cancelled)
            #expect(try await connection.execute(Statement("select pg_sleep(0.002)")).count == 1)
        }
        #expect(connection.isReusable)
    }

    @Test func `a connection whose cancel has not returned is not used again`() async throws {
        let server = try await TestServers.makePostgres()
        let (holder, connection) = (try await server.connect(), try await server.connect())
        _ = try await holder.execute(Statement("select pg_advisory_lock(1)"))
        let task = Task { try await connection.execute(Statement("select pg_advisory_lock(1)")) }
        try await waitUntilBusy(connection.backendID, on: server)
        // The main process takes cancels: now none arrives before the statement has ended by itself.
        server.pause()
        task.cancel()
        _ = try await holder.execute(Statement("select pg_advisory_unlock(1)"))
        _ = await task.result
        #expect(connection.isBroken)
        await server.stop()
    }

    @Test func `a task that was cancelled before sends nothing`() async throws {
        let connection = try await connect()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await connection.execute(Statement("select 1"))
        }
        #expect(try await postgresError { try await task.value }?.code == .cancelled)
    }

    @Test func `a killed backend is a lost connection`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        let sleeper = Task { try await connection.execute(Statement("select pg_sleep(600)")) }
        try await waitUntilBusy(connection.backendID, on: server)
        _ = try await server.connect().execute(
            Statement("select pg_terminate_backend($1)"),
            [.int32(connection.backendID)]
        )
        let error = try await postgresError { _ = try await sleeper.value }
        #expect(error?.code == .connectionLost)
        #expect(error?.sqlState == "57P01")
        #expect(connection.isBroken)
        #expect(
            try await postgresError { _ = try await connection.execute(Statement("select 1")) }?.code == .connectionLost
        )
    }

    @Test func `a frozen backend cannot hold a caller`() async throws {
        let connection = try await connect()
        kill(connection.backendID, SIGSTOP)
        defer { kill(connection.backendID, SIGCONT) }
        let error = try await postgresError {
            _ = try await connection.execute(Statement("select 1"), within: .milliseconds(20))
        }
        #expect(error?.code == .deadline)
        #expect(connection.isBroken)
    }

    @Test func `a task on a frozen backend can be cancelled`() async throws {
        let connection = try await connect()
        kill(connection.backendID, SIGSTOP)
        defer { kill(connection.backendID, SIGCONT) }
        let task = Task { try await connection.execute(Statement("select 1"), within: .seconds(3_600)) }
        task.cancel()
        #expect(try await postgresError { _ = try await task.value }?.code == .cancelled)
    }

    @Test func `a frozen server cannot hold a caller, nor one who connects`() async throws {
        let server = try await TestServers.makePostgres()
        let connection = try await server.connect()
        server.pause()
        kill(connection.backendID, SIGSTOP)
        let error = try await postgresError {
            _ = try await connection.execute(Statement("select 1"), within: .milliseconds(20))
        }
        #expect(error?.code == .deadline)
        #expect(connection.isBroken)
        #expect(try await postgresError { _ = try await server.connect() }?.code == .connectionFailed)
        kill(connection.backendID, SIGCONT)
        await server.stop()
    }

    @Test func `a server that is not there is said to be so`() async throws {
        let configuration = try PostgresConfiguration(connectionString: "host=/nowhere password=hidden")
        let error = try await postgresError { _ = try await PostgresConnection.open(configuration, logger: .quiet) }
        #expect(error?.code == .connectionFailed)
        #expect(error?.description.contains("/nowhere") == true)
        #expect(error?.description.contains("\n") == false)
        #expect(error?.description.contains("hidden") == false)
    }

    @Test func `statements that wait do not hold the cooperative pool`() async throws {
        let server = try await TestServers.postgres()
        let holder = try await server.connect()
        _ = try await holder.execute(Statement("select pg_advisory_lock(4711)"))
        try await withThrowingTaskGroup { group in
            // Far more than the pool has threads; all wait until the test, on that pool, has unlocked.
            var waiters: [PostgresConnection] = []
            for _ in 1...24 { waiters.append(try await server.connect()) }
            for waiter in waiters {
                // On a busy machine they wait for longer than a lock may be waited for.
                try await waiter.executeScript("set lock_timeout = 0")
                group.addTask {
                    _ = try await waiter.execute(Statement("select pg_advisory_lock_shared(4711)"))
                }
            }
            for waiter in waiters { try await waitUntilBusy(waiter.backendID, on: server) }
            _ = try await holder.execute(Statement("select pg_advisory_unlock(4711)"))
            try await group.waitForAll()
        }
    }

    @Test func `notices go to the log`() async throws {
        let log = InMemoryLogHandler()
        var logger = Logger(label: "tests") { _ in log }
        logger.logLevel = .debug
        let connection = try await PostgresConnection.open(TestServers.postgres().configuration(), logger: logger)
        try await connection.executeScript("do $$ begin raise notice 'hear\nme'; end $$")
        let entry = try #require(log.entries.first { $0.message == "Notice from PostgreSQL" })
        #expect(entry.metadata["db.notice"]?.description.contains("hear me") == true)
    }
}
