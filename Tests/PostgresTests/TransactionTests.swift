import LocalStack
import Postgres
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TransactionTests {
    private struct Oops: Error {}

    private func makeTable(_ connection: PostgresConnection) async throws {
        try await connection.executeScript(
            "create temporary table t (id bigint constraint once unique deferrable initially deferred)"
        )
    }

    private func count(_ connection: PostgresConnection) async throws -> Int {
        try await connection.execute(Statement("select count(*) from t"))[0].decode(at: 0)
    }

    private let insert = Statement(name: "insert", sql: "insert into t values (1)")

    @Test func `what returns is committed, what throws is rolled back`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let affected = try await connection.withTransaction { try await $0.execute(insert).affected }
        #expect(affected == 1)
        await #expect(throws: Oops.self) {
            try await connection.withTransaction {
                _ = try await $0.execute(insert)
                throw Oops()
            }
        }
        #expect(try await count(connection) == 1)
        #expect(connection.isReusable)
    }

    @Test func `a constraint that is checked at the commit fails it`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let error = try await postgresError {
            try await connection.withTransaction { for _ in 1...2 { _ = try await $0.execute(insert) } }
        }
        #expect(error?.constraint == "once")
        #expect(try await count(connection) == 0)
    }

    @Test func `a transaction that goes on after an error is not taken for committed`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let error = try await postgresError {
            try await connection.withTransaction { connection in
                _ = try await connection.execute(insert)
                _ = try await postgresError { _ = try await connection.execute(Statement("select nothing")) }
            }
        }
        #expect(error?.sqlState == "25P02")
        #expect(try await count(connection) == 0)
    }

    @Test func `a cancelled transaction is rolled back, and its connection goes on`() async throws {
        let server = try await TestServers.postgres()
        let connection = try await server.connect()
        try await makeTable(connection)
        let task = Task {
            try await connection.withTransaction {
                _ = try await $0.execute(insert)
                _ = try await $0.execute(Statement("select pg_sleep(600)"))
            }
        }
        try await waitUntilBusy(connection.backendID, on: server)
        task.cancel()
        #expect(try await postgresError { try await task.value }?.code == .cancelled)
        #expect(connection.isReusable)
        #expect(try await count(connection) == 0)
    }

    @Test func `a task that is cancelled after its last statement does not commit`() async throws {
        let connection = try await connect()
        try await makeTable(connection)
        let task = Task {
            try await connection.withTransaction {
                _ = try await $0.execute(insert)
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        #expect(try await postgresError { try await task.value }?.code == .cancelled)
        #expect(try await count(connection) == 0)
    }

    @Test(arguments: [TransactionIsolation.readCommitted, .repeatableRead, .serializable])
    func `it has the isolation that was asked for`(isolation: TransactionIsolation) async throws {
        let level = try await connect().withTransaction(isolation: isolation) {
            try await $0.execute(Statement("show transaction isolation level"))[0].decode(String.self, at: 0)
        }
        #expect(level == isolation.rawValue)
    }

    @Test func `a commit that waited in vain for a standby is not taken for done`() async throws {
        let server = try await TestServers.makePostgres()
        let setup = try await server.connect()
        try await setup.executeScript("create table t (id bigint)")
        try await setup.executeScript("alter system set synchronous_standby_names = 'nobody'")
        try await setup.executeScript("select pg_reload_conf()")
        // Known to a connection once it has read the file again.
        while try await server.connect().execute(Statement("show synchronous_standby_names"))[0]
            .decode(String.self, at: 0) != "nobody"
        {}
        let one = try await server.connect()
        let error = try await postgresError { _ = try await one.execute(insert, within: .seconds(1)) }
        #expect(error?.code == .deadline)
        #expect(one.isBroken, "whether it was done is not known")
        let other = try await PostgresConnection.open(
            server.configuration(statementTimeout: .seconds(1)),
            logger: .quiet
        )
        let committed = try await postgresError {
            try await other.withTransaction { _ = try await $0.execute(insert) }
        }
        #expect(committed?.code == .deadline && committed?.statement == "commit")
        #expect(other.isBroken)
        await server.stop()
    }
}
