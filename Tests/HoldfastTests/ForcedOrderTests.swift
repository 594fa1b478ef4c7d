import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// What comes to a line, however it comes, against what settles it: each order made by locks that the test holds.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct ForcedOrderTests {
    /// How a job comes to its line.
    enum Arrival: String, CaseIterable, Sendable {
        case enqueue, join

        /// Makes ready what comes; call it first.
        func prepare(_ database: TestDatabase, _ keys: [String]) async throws {
            guard self == .join else { return }
            for key in keys { try await database.run("select holdfast.submit($1, 'new')", [.text(key)]) }
        }

        /// Lets the jobs come, in one batch; a line that somebody has locked is passed over until it is not.
        func arrive(_ store: JobStore, _ pool: PostgresPool, _ keys: [String]) async throws {
            switch self {
            case .enqueue:
                let jobs = try keys.map { try NewJob(key: $0, value: "new") }
                // A batch lets go of its lines soon when it has to wait for one.
                while true {
                    do {
                        _ = try await store.enqueue(jobs)
                        return
                    } catch let error as PostgresError where error.isLockTimeout {}
                }
            case .join:
                let unplaced = Statement(
                    name: "unplaced",
                    sql: "select count(*) from holdfast.jobs where place is null"
                )
                while try await pool.execute(unplaced)[0].decode(Int.self, at: 0) > 0 {
                    _ = try await WorkerRegistry(pool: pool).promote(
                        linesSince: .negativeInfinity,
                        jobsSince: .negativeInfinity,
                        limit: 1000
                    )
                }
            }
        }
    }

    private struct UnexpectedResult: Error { let result: SettlementResult }

    private var database: TestDatabase { FreshDatabase.current }

    /// Lends a pool whose statements wait for a lock as long as a busy machine takes to release it.
    private func withPatience(_ body: @Sendable (PostgresPool, JobStore) async throws -> Void) async throws {
        var configuration = try PostgresConfiguration(connectionString: database.url, applicationName: "patient")
        configuration.lockTimeout = .seconds(60)
        let pool = PostgresPool(configuration: configuration, size: 4, logger: .quiet)
        defer { pool.close() }
        try await body(pool, JobStore(pool: pool, deadline: .seconds(60)))
    }

    /// Runs `body` while a session has locked what `sql` selects.
    private func whileLocked(
        _ sql: String,
        _ body: (PostgresConnection) async throws -> Void
    ) async throws {
        try await database.pool.withTransaction { connection in
            _ = try await connection.execute(Statement(name: "lock", sql: sql, isPrepared: false))
            try await body(connection)
        }
    }

    /// Waits until so many of the patient sessions wait for locks; asked on the session that holds them, to keep it busy.
    private func untilWaiting(
        _ count: Int,
        _ connection: PostgresConnection,
        of application: String = "patient"
    ) async throws {
        let waiting = Statement(
            name: "waiting",
            sql: """
                select count(*)
                from pg_stat_activity
                where datname = current_database() and application_name = $1 and wait_event_type = 'Lock'
                """,
            isPrepared: false
        )
        while true {
            // What a transaction sees of the others' activity stays as it was at its first look.
            try await connection.executeScript("select pg_stat_clear_snapshot()")
            if try await connection.execute(waiting, [.text(application)])[0].decode(Int.self, at: 0) == count {
                return
            }
        }
    }

    private func settle(_ claim: Claim, _ store: JobStore) async throws {
        while try await store.settle([.allSucceeded(claim)]) == [.busy] {}
    }

    private func expectSound() async throws {
        #expect(try await database.isTrue("select not exists (select from holdfast.doctor())"))
    }

    @Test(arguments: Arrival.allCases)
    func `what comes while its line's last job is being settled opens the line again`(arrival: Arrival) async throws {
        try await database.enqueue("k")
        try await arrival.prepare(database, ["k"])
        let claim = try await database.claim(for: database.makeWorker())[0]
        try await withPatience { pool, store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                try await whileLocked("select from holdfast.jobs where place is not null for update") { connection in
                    // Has the line's lock, and waits for its job.
                    group.addTask { try await settle(claim, store) }
                    try await untilWaiting(1, connection)
                    // Waits for the line, or passes over it.
                    group.addTask { try await arrival.arrive(store, pool, ["k"]) }
                    try await untilWaiting(arrival == .enqueue ? 2 : 1, connection)
                }
                try await group.waitForAll()
            }
        }
        #expect(try await database.finished().count == 1)
        #expect(try await database.lines().map(\.holder) == [nil])
        let next = try await database.claim(for: database.makeWorker())
        #expect(next.flatMap(\.jobs).map(\.value) == ["new"])
        try await expectSound()
    }

    @Test
    func `what is due joins all lines but one that somebody has locked, and that one when it is not`() async throws {
        try await database.enqueue("a", "b")
        try await Arrival.join.prepare(database, ["c", "b", "a"])
        func promote() async throws {
            _ = try await WorkerRegistry(pool: database.pool).promote(
                linesSince: .negativeInfinity,
                jobsSince: .negativeInfinity,
                limit: 1000
            )
        }
        let waiting = "select lock_key from holdfast.jobs where place is null"
        try await whileLocked("select from holdfast.key_lines where lock_key = 'b' for update") { _ in
            try await promote()
            #expect(try await database.column(String.self, waiting) == ["b"])
        }
        try await promote()
        #expect(try await database.column(String.self, waiting) == [])
        let claims = try await database.claim(for: database.makeWorker()).sorted { $0.key < $1.key }
        #expect(claims.map { $0.jobs.map(\.value) } == [["a-0", "new"], ["b-1", "new"], ["new"]])
        try await expectSound()
    }

    @Test
    func `a settle passes over a line that jobs are coming to, and finds them when it comes again`() async throws {
        try await database.enqueue("a", "b")
        let claims = try await database.claim(for: database.makeWorker(), limit: 1)
        #expect(claims.map(\.key.text) == ["a"])
        try await withPatience { pool, store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                try await whileLocked("select from holdfast.key_lines where lock_key = 'b' for update") { connection in
                    // Has the lock of a, and waits for that of b.
                    group.addTask { try await Arrival.enqueue.arrive(store, pool, ["a", "b"]) }
                    try await untilWaiting(1, connection)
                    #expect(try await database.store.settle([.allSucceeded(claims[0])]) == [.busy])
                }
                try await group.waitForAll()
            }
        }
        #expect(try await database.store.settle([.allSucceeded(claims[0])]) == [.settled(hasMore: true)])
        let next = try await database.claim(for: database.makeWorker()).sorted { $0.key < $1.key }
        #expect(next.map { $0.jobs.map(\.value) } == [["new"], ["b-1", "new"]])
        try await expectSound()
    }

    @Test
    func `a part waits for a change of its job, and keeps it`() async throws {
        let jobs = try await database.enqueue("a", "a").map(\.id)
        let claim = try await database.claim(for: database.makeWorker())[0]
        let part = try await database.makePart(of: claim)
        try await withPatience { pool, store in
            try await withThrowingTaskGroup(of: [SettlementResult].self) { group in
                try await whileLocked(
                    "update holdfast.jobs set progress = 0.5 where id = \(jobs[0])"
                ) { connection in
                    group.addTask { try await store.settle([part]) }
                    try await untilWaiting(1, connection)
                }
                let acquired = try #require(try await group.next()?.first)
                guard case .acquired = acquired else { throw UnexpectedResult(result: acquired) }
            }
        }
        #expect(try await database.column(Double.self, "select progress::float8 from holdfast.finished_jobs") == [0.5])
        #expect(try await database.history() == ["acquired 1", "released 1", "acquired 1"])
        try await expectSound()
    }

    @Test
    func `a part of a run is settled while a submission has its line locked, and only what frees the line waits`()
        async throws
    {
        let jobs = try await database.enqueue("a", "a").map(\.id)
        let claim = try await database.claim(for: database.makeWorker())[0]
        let part = try await database.makePart(of: claim)
        // As an enqueue locks it that has not been committed.
        try await whileLocked("select from holdfast.key_lines where lock_key = 'a' for no key update") { _ in
            guard case .acquired = try await database.store.settle([part])[0] else {
                throw UnexpectedResult(result: .busy)
            }
            var last = Settlement(of: claim)
            last.succeed(claim.jobs[1])
            last.freesLine = true
            #expect(try await database.store.settle([last]) == [.busy])
            #expect(try await database.store.settle([last], .waiting) == [.busy])
            #expect(try await database.unfinished() == [jobs[1]])
        }
        #expect(try await database.finished() == [jobs[0]])
    }

    @Test
    func `what frees a line queues for it behind a submission`() async throws {
        let jobs = try await database.enqueue("a").map(\.id)
        let claim = try await database.claim(for: database.makeWorker())[0]
        let database = database
        try await withThrowingTaskGroup(of: [SettlementResult].self) { group in
            try await whileLocked("select from holdfast.key_lines where lock_key = 'a' for no key update") {
                connection in
                group.addTask {
                    while true {
                        let results = try await database.store.settle([.allSucceeded(claim)], .waiting)
                        if results != [.busy] { return results }
                    }
                }
                try await untilWaiting(1, connection, of: "test")
            }
            #expect(try await group.next() == [.settled(hasMore: false)])
        }
        #expect(try await database.finished() == jobs)
        try await expectSound()
    }

    @Test
    func `batches in opposite orders and a settle of the same keys wait for each other, and none for ever`()
        async throws
    {
        try await database.enqueue("a", "b")
        let claims = try await database.claim(for: database.makeWorker())
        try await withPatience { pool, store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                try await whileLocked("select from holdfast.key_lines where lock_key = 'b' for update") { connection in
                    group.addTask { try await Arrival.enqueue.arrive(store, pool, ["a", "b"]) }
                    try await untilWaiting(1, connection)
                    group.addTask { try await Arrival.enqueue.arrive(store, pool, ["b", "a"]) }
                    try await untilWaiting(2, connection)
                    let settlements = claims.map(Settlement.allSucceeded)
                    #expect(try await database.store.settle(settlements) == [.busy, .busy])
                }
                // A deadlock would be an error of one of them.
                try await group.waitForAll()
            }
        }
        for claim in claims { try await settle(claim, database.store) }
        let next = try await database.claim(for: database.makeWorker())
        #expect(next.map { $0.jobs.count } == [2, 2])
        try await expectSound()
    }
}
