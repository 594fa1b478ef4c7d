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
    func `the line of a dead worker comes back, and the attempt that it began counts`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        try await database.begin(claim.jobs[0], of: claim)
        try await database.bury(worker)
        #expect(try await registry.rescue().map(\.key.text) == ["a"])
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
        #expect(job.error == "its worker died")

        let next = try #require(try await database.claim(for: database.makeWorker()).first)
        #expect(next.jobs.map(\.id) == receipts.map(\.id))
        #expect(next.jobs.map(\.attempt) == [2, 1, 1])
        #expect(next.jobs[0].fence > claim.jobs[2].fence)
        #expect(try await registry.rescue().isEmpty)
    }

    @Test
    func `a claim that had begun nothing comes back with no attempt burned`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a")
        _ = try await database.claim(for: worker)
        try await database.bury(worker)
        #expect(try await registry.rescue().map(\.key.text) == ["a"])
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
        try await database.bury(worker)
        #expect(try await registry.rescue().map(\.key.text) == ["a"])
        #expect(try await database.history() == ["acquired 1", "released 1", "rescued"])
        #expect(try await database.column(Int.self, "select attempt from holdfast.jobs") == [0])
    }

    @Test
    func `a worker that is on the list keeps its lines`() async throws {
        let alive = try await database.makeWorker()
        let dead = try await database.makeWorker()
        let gone = try await database.makeWorker()
        try await database.enqueue("a", "b", "c")
        for worker in [alive, dead, gone] { #expect(try await database.claim(for: worker, limit: 1).count == 1) }
        let kept = try await database.lines().filter { $0.holder == alive }
        try await database.bury(dead)
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
        try await database.bury(worker)
        try await database.pool.withTransaction { connection in
            let lock = Statement(name: "lock", sql: "select from holdfast.key_lines where lock_key = 'a' for update")
            _ = try await connection.execute(lock)
            #expect(try await registry.rescue().map(\.key.text) == ["b"])
        }
        #expect(try await registry.rescue().map(\.key.text) == ["a"])
    }

    @Test
    func `a heartbeat registers a worker, moves its beat on, and shows those of the others`() async throws {
        let other = try await database.makeWorker()
        let worker = try await registry.nextID()
        let description = WorkerRegistry.Description(
            name: "test",
            queues: ["default", "other"],
            kinds: ["mail"],
            slots: 3,
            nodesWithoutVote: ["r1"]
        )
        var last: Int64 = -1
        let others = try await database.column(Int64.self, "select beat from holdfast.workers")
        for _ in 0...2 {
            let pulse = try await registry.heartbeat(worker, description)
            #expect(pulse.beats == [other: others[0]] && !pulse.hasOrphans)
            let row = try await database.run(
                "select beat, queues, kinds, slots, nodes_without_vote from holdfast.workers where id = $1",
                [.int64(worker.rawValue)]
            )
            let beat = try row[0].decode(Int64.self, at: 0)
            #expect(beat > last)
            last = beat
            #expect(try row[0].decode([String].self, at: 1) == ["default", "other"])
            #expect(try row[0].decode([String].self, at: 2) == ["mail"])
            #expect(try row[0].decode(Int.self, at: 3) == 3)
            #expect(try row[0].decode([String].self, at: 4) == ["r1"])
        }
        try await database.enqueue("a")
        #expect(try await database.claim(for: other).count == 1)
        #expect(try await !registry.heartbeat(worker, description).hasOrphans)
        try await database.bury(other)
        #expect(try await registry.heartbeat(worker, description).hasOrphans)
    }

    @Test
    func `a worker whose beat has moved on is not buried`() async throws {
        let (one, other) = (try await database.makeWorker(), try await database.makeWorker())
        let pulse = try await registry.heartbeat(one, .init(name: "one", queues: [], kinds: [], slots: 1))
        try await registry.heartbeat(other, .init(name: "other", queues: [], kinds: [], slots: 1))
        #expect(try await registry.bury(pulse.beats).isEmpty)
        let now = try await registry.heartbeat(one, .init(name: "one", queues: [], kinds: [], slots: 1))
        #expect(try await registry.bury(now.beats).map(\.id) == [other])
        #expect(try await database.column(Int64.self, "select id from holdfast.workers") == [one.rawValue])
    }

    @Test
    func `a worker that was buried and comes back has a beat that nobody has seen`() async throws {
        let (one, other) = (try await database.makeWorker(), try await database.makeWorker())
        let description = WorkerRegistry.Description(name: "one", queues: [], kinds: [], slots: 1)
        let seen = try await registry.heartbeat(one, description).beats
        #expect(try await registry.bury(seen).map(\.id) == [other])
        // Its first heartbeat after that is as its first of all.
        try await registry.heartbeat(other, description)
        #expect(try await registry.heartbeat(one, description).beats[other] != seen[other])
        #expect(try await registry.bury(seen).isEmpty)
    }

    @Test
    func `missing partitions are made`() async throws {
        let latest =
            "select max(relname)::text from pg_class where relname like 'lock\\_history\\_2%' and relkind = 'r'"
        let before = try await database.column(String.self, latest)
        try await database.run("drop table holdfast.\(before[0])")
        try await registry.makePartitions()
        #expect(try await database.column(String.self, latest)[0] >= before[0])
    }
}
