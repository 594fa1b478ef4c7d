import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct RescueTests {
    private var database: TestDatabase { FreshDatabase.current }
    private var registry: WorkerRegistry { WorkerRegistry(pool: database.pool) }

    @Test
    func `the line of a worker without a lease comes back, and the attempt that it began counts`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        try await database.begin(claim.jobs[0], of: claim)
        try await database.endLease(of: worker)
        #expect(try await registry.rescue() == ["a"])
        #expect(try await database.lines().map(\.holder) == [nil])
        #expect(try await database.history() == ["acquired 1", "rescued 1"])
        let rescued = try await database.run(
            "select job_id, worker_id, fence from holdfast.lock_history where event = 'rescued'"
        )[0]
        #expect(try rescued.decode(Int64.self, at: 0) == receipts[0].id.rawValue)
        #expect(try rescued.decode(Int64.self, at: 1) == worker.rawValue)
        #expect(try rescued.decode(Int64.self, at: 2) == claim.jobs[0].fence.rawValue)
        let job = try #require(try await database.store.find(receipts[0].id))
        #expect(job.state == .retrying)
        #expect(job.attempt == 1)
        #expect(job.error == "its worker's lease lapsed")

        let next = try #require(try await database.claim(for: database.makeWorker()).first)
        #expect(next.jobs.map(\.id) == receipts.map(\.id))
        #expect(next.jobs.map(\.attempt) == [2, 1, 1])
        #expect(next.jobs[0].fence > claim.jobs[2].fence)
        #expect(try await registry.rescue() == [])
    }

    @Test
    func `a claim that had begun nothing comes back with no attempt burned`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a")
        _ = try await database.claim(for: worker)
        try await database.endLease(of: worker)
        #expect(try await registry.rescue() == ["a"])
        #expect(try await database.history() == ["rescued"])
        #expect(try await database.store.find(receipts[0].id)?.attempt == 0)
    }

    @Test
    func `what an earlier claim began is not counted again`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        try await database.begin(claim.jobs[0], of: claim)
        var settlement = Settlement(of: claim)
        settlement.record(LockEvent(.released, claim.jobs[0], of: claim, at: .now))
        settlement.freesLine = true  // Given back by a shutdown, which burns nothing.
        _ = try await database.store.settle([settlement])
        #expect(try await database.claim(for: worker).count == 1)
        try await database.endLease(of: worker)
        #expect(try await registry.rescue() == ["a"])
        #expect(try await database.history() == ["acquired 1", "released 1", "rescued"])
        #expect(try await database.column(Int.self, "select attempt from holdfast.jobs") == [0])
    }

    @Test
    func `a worker with a valid lease keeps its lines`() async throws {
        let alive = try await database.makeWorker()
        let dead = try await database.makeWorker()
        let gone = try await database.makeWorker()
        try await database.enqueue("a", "b", "c")
        for worker in [alive, dead, gone] { #expect(try await database.claim(for: worker, limit: 1).count == 1) }
        let kept = try await database.lines().filter { $0.holder == alive }
        try await database.endLease(of: dead)
        try await registry.leave(gone)
        #expect(try await registry.rescue().count == 2)
        #expect(try await database.lines().filter { $0.holder != nil } == kept)
        #expect(try await database.history() == ["rescued", "rescued"])
    }

    @Test
    func `a line that is being settled is passed over, and rescued when it was not`() async throws {
        let database = database
        let registry = registry
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "b")
        _ = try await database.claim(for: worker)
        try await database.endLease(of: worker)
        try await database.pool.withTransaction { connection in
            let lock = Statement(name: "lock", sql: "select from holdfast.key_lines where lock_key = 'a' for update")
            _ = try await connection.execute(lock)
            #expect(try await registry.rescue() == ["b"])
        }
        #expect(try await registry.rescue() == ["a"])
    }

    @Test
    func `a heartbeat makes a lease of four seconds, by the database's clock, and renews it`() async throws {
        let worker = try await registry.nextID()
        #expect(try await registry.nextID() != worker)
        for _ in 1...2 {
            let before = try await database.run("select clock_timestamp()")[0].decode(PostgresTimestamp.self, at: 0)
            try await registry.heartbeat(worker, name: "test", queues: ["default", "other"], kinds: [], slots: 3)
            let row = try await database.run(
                "select lease_until, clock_timestamp(), queues, slots from holdfast.workers"
            )
            let until = try row[0].decode(PostgresTimestamp.self, at: 0)
            let after = try row[0].decode(PostgresTimestamp.self, at: 1)
            #expect(row.count == 1)
            #expect(before.advanced(by: .seconds(4)) <= until && until <= after.advanced(by: .seconds(4)))
            #expect(try row[0].decode([String].self, at: 2) == ["default", "other"])
            #expect(try row[0].decode(Int.self, at: 3) == 3)
            try await database.endLease(of: worker)
        }
    }

    @Test
    func `there is one leader, until it leaves or its term ends`() async throws {
        let (one, other) = (try await database.makeWorker(), try await database.makeWorker())
        func leads(_ worker: WorkerID) async throws -> Bool {
            try await registry.heartbeat(worker, name: "test", queues: ["default"], kinds: [], slots: 3).leads
        }
        func endTerm() async throws {
            try await database.run("update holdfast.leaders set lease_until = clock_timestamp() - interval '1 second'")
        }
        func prolong() async throws {
            try await database.run("update holdfast.leaders set lease_until = clock_timestamp() + interval '1 hour'")
        }
        #expect(try await leads(one))
        try await prolong()
        #expect(try await !leads(other))
        #expect(try await leads(one))
        try await endTerm()
        #expect(try await leads(other))
        try await prolong()
        #expect(try await !leads(one))
        try await registry.leave(other)
        #expect(try await leads(one))
    }

    @Test
    func `workers long gone are forgotten, and partitions made`() async throws {
        let gone = try await database.makeWorker(isLeased: false)
        let lapsed = try await database.makeWorker()
        let alive = try await database.makeWorker()
        try await database.endLease(of: lapsed)
        let latest =
            "select max(relname)::text from pg_class where relname like 'lock\\_history\\_2%' and relkind = 'r'"
        let before = try await database.column(String.self, latest)
        try await database.run("drop table holdfast.\(before[0])")
        #expect(try await registry.tidy(Retention()).isEmpty)
        let left = try await database.column(Int64.self, "select id from holdfast.workers order by id")
        #expect(left == [lapsed.rawValue, alive.rawValue])
        #expect(!left.contains(gone.rawValue))
        #expect(try await database.column(String.self, latest)[0] >= before[0])
    }
}
