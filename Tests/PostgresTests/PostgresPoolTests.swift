import LocalStack
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PostgresPoolTests {
    private let backend = Statement(name: "backend", sql: "select pg_backend_pid()")

    @Test func `many borrowers share few connections`() async throws {
        let pool = try await TestServers.postgres().pool(size: 3)
        let backends = try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<200 { group.addTask { try await pool.execute(backend)[0].decode(at: 0) } }
            var backends: Set<Int32> = []
            for try await backend in group { backends.insert(backend) }
            return backends
        }
        #expect((1...3).contains(backends.count))
        #expect(pool.status.lent == 0 && pool.status.waiting == 0)
    }

    @Test func `a borrower whose time is up is told that all are lent`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1, acquireTimeout: .milliseconds(20))
        // A connect that is slower than that fails the first.
        while try await postgresError({ try await pool.withConnection { _ in } }) != nil {}
        try await pool.withConnection { _ in
            let error = try await postgresError { _ = try await pool.execute(backend) }
            #expect(error?.code == .poolExhausted)
            #expect(pool.status == PoolStatus(lent: 1))
        }
        #expect(pool.status == PoolStatus(idle: 1))
    }

    @Test func `a cancelled borrower stops waiting`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1)
        try await pool.withConnection { _ in
            let waiter = Task { try await pool.execute(backend) }
            while pool.status.waiting == 0 { await Task.yield() }
            waiter.cancel()
            let error = try await postgresError { _ = try await waiter.value }
            #expect(error?.code == .cancelled)
            #expect(pool.status == PoolStatus(lent: 1))
        }
    }

    @Test func `a connection that breaks while it is lent is replaced`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1)
        let error = try await postgresError {
            try await pool.withConnection { connection in
                _ = try await connection.execute(Statement("select pg_terminate_backend(pg_backend_pid())"))
            }
        }
        #expect(error?.code == .connectionLost)
        #expect(pool.status == PoolStatus())
        #expect(try await pool.execute(backend).count == 1)
    }

    @Test func `a connection that ends while it is idle is not lent`() async throws {
        let server = try await TestServers.makePostgres()
        let pool = try server.pool(size: 2)
        _ = try await pool.execute(backend)
        await server.kill()
        try await server.start()
        #expect(try await pool.execute(backend).count == 1)
        pool.close()
        await server.stop()
    }

    @Test func `while the server is away borrowers are told so, and served when it is back`() async throws {
        let server = try await TestServers.makePostgres()
        let pool = try server.pool(size: 2)
        await server.kill()
        let error = try await postgresError { _ = try await pool.execute(backend) }
        #expect(error?.code == .connectionFailed)
        #expect(error?.isUnavailable == true)
        try await server.start()
        while try await postgresError({ _ = try await pool.execute(backend) }) != nil {}
        #expect(pool.status == PoolStatus(idle: 1))
        pool.close()
        await server.stop()
    }

    @Test func `a connection that comes back in a transaction is not lent again`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1)
        try await pool.withConnection { try await $0.executeScript("begin") }
        #expect(pool.status == PoolStatus())
    }

    @Test func `a transaction on the pool commits`() async throws {
        let pool = try await TestServers.postgres().pool(size: 1)
        let isolation = try await pool.withTransaction(isolation: .serializable) {
            try await $0.execute(Statement("show transaction isolation level"))[0].decode(String.self, at: 0)
        }
        #expect(isolation == "serializable")
        #expect(pool.status == PoolStatus(idle: 1))
    }

    @Test func `a closed pool refuses, and closes what it had`() async throws {
        let server = try await TestServers.postgres()
        let pool = try server.pool(size: 1)
        let id = try await pool.execute(backend)[0].decode(Int32.self, at: 0)
        pool.close()
        #expect(try await postgresError { _ = try await pool.execute(backend) }?.code == .poolExhausted)
        let observer = try await server.connect()
        let gone = Statement(name: "gone", sql: "select from pg_stat_activity where pid = $1")
        while try await !observer.execute(gone, [.int32(id)]).isEmpty {}
    }
}
