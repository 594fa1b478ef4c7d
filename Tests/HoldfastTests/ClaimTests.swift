import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct ClaimTests {
    private var database: TestDatabase { FreshDatabase.current }

    @Test
    func `a claim has the head's run of jobs, as they were submitted`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a", "a")
        let claims = try await database.claim(for: worker)
        #expect(claims.map(\.key.text) == ["a"])
        let claim = try #require(claims.first)
        #expect(claim.worker == worker)
        #expect(claim.queue == "default")
        #expect(claim.waited == nil)
        #expect(claim.jobs.map(\.id) == receipts.map(\.id))
        #expect(claim.jobs.map(\.value) == ["a-0", "a-1", "a-2"])
        #expect(claim.jobs.allSatisfy { $0.attempt == 1 && $0.maxAttempts == 20 && $0.kind == "lockAndSet" })
        #expect(claim.jobs.allSatisfy { $0.duration == .seconds(10) && $0.lockTTL == .seconds(20) })
        #expect(try await database.lines().map(\.holder) == [worker])
    }

    @Test
    func `a line that is claimed is claimed by nobody else`() async throws {
        let one = try await database.makeWorker()
        let other = try await database.makeWorker()
        try await database.enqueue("a")
        #expect(try await database.claim(for: one).count == 1)
        #expect(try await database.claim(for: other).isEmpty)
        #expect(try await database.claim(for: one).isEmpty)
        #expect(try await database.lines().map(\.holder) == [one])
    }

    @Test
    func `a queue with more than can be run keeps no line of another waiting`() async throws {
        let worker = try await database.makeWorker()
        let jobs = try ["reports", "default"].flatMap { queue in
            try (0..<20).map { number in
                var job = try NewJob(key: "\(queue)-\(number)", value: "v")
                job.queue = queue
                return job
            }
        }
        _ = try await database.store.enqueue(jobs)
        var floors = ClaimFloors()
        // What it has of one queue is younger than all that waits in the other.
        try await database.run(
            "update holdfast.key_lines set turn = -turn where queue = 'reports'"
        )
        var claimed: [String: Int] = [:]
        for _ in 0..<4 {
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default", "reports"],
                kinds: [LockAndSet.kind],
                limit: 5,
                runLimit: 1,
                floors: &floors
            )
            for claim in claims { claimed[claim.queue, default: 0] += 1 }
        }
        #expect(claimed == ["default": 10, "reports": 10])
    }

    @Test
    func `claimers at one time never share a line, and leave none`() async throws {
        let database = database
        let keys = (0..<300).map { "k\($0)" }
        _ = try await database.store.enqueue(keys.map { try NewJob(key: $0, value: "v") })
        let claimed = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<6 {
                let worker = try await database.makeWorker()
                group.addTask {
                    var mine: [String] = []
                    while true {
                        let claims = try await database.claim(for: worker, limit: 7)
                        // Others may have locked for a moment all that this one looked at; what is free is counted.
                        if claims.isEmpty {
                            let free = try await database.int(
                                "select count(*) from holdfast.key_lines where held_by is null"
                            )
                            if free == 0 { return mine }
                        }
                        #expect(claims.allSatisfy { $0.jobs.count == 1 })
                        mine += claims.map(\.key.text)
                    }
                }
            }
            var claimed: [String] = []
            for try await some in group { claimed += some }
            return claimed
        }
        #expect(claimed.sorted() == keys.sorted())
    }

    @Test
    func `a job's fence is above its claim's, and fences rise from job to job and from claim to claim`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "b", "a", "b", "a", "a")
        var last = Fence(0)
        for runLimit in [2, 1, 5] {
            let claims = try await database.claim(for: worker, runLimit: runLimit)
            for claim in claims {
                #expect(claim.fence > last)
                let fences = [claim.fence] + claim.jobs.map(\.fence)
                #expect(fences.sorted() == fences)
                #expect(Set(fences).count == fences.count)
            }
            last = claims.flatMap(\.jobs).map(\.fence).max() ?? last
            for claim in claims {
                var settlement = Settlement(of: claim)
                settlement.succeed(claim.jobs[0])
                settlement.freesLine = true
                _ = try await database.store.settle([settlement])
            }
        }
        #expect(try await database.finished().count == 5)
    }

    @Test(arguments: [
        (runLimit: 1, count: 1), (runLimit: 3, count: 3), (runLimit: 5, count: 5), (runLimit: 9, count: 5),
    ])
    func `a run has at most so many jobs, from the head`(runLimit: Int, count: Int) async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a", "a", "a", "a")
        let claim = try #require(try await database.claim(for: worker, runLimit: runLimit).first)
        #expect(claim.jobs.map(\.id) == receipts.prefix(count).map(\.id))
    }

    @Test
    func `lines are claimed the best priority first, then the lowest turn`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("later", "sooner", "urgent", "idle")
        for (key, priority, turn) in [("later", 5, 40), ("sooner", 5, 30), ("urgent", 0, 50), ("idle", 9, 20)] {
            try await database.run(
                "update holdfast.key_lines set priority = $2, turn = $3 where lock_key = $1",
                [.text(key), .int32(Int32(priority)), .int64(Int64(turn))]
            )
        }
        var keys: [String] = []
        for _ in 0..<4 { keys += try await database.claim(for: worker, limit: 1).map(\.key.text) }
        #expect(keys == ["urgent", "sooner", "later", "idle"])
    }

    @Test(arguments: [["nestloop"], ["nestloop", "hashjoin"], ["nestloop", "mergejoin"]])
    func `the best priority of all queues is claimed first however that is planned`(avoided: [String]) async throws {
        let worker = try await database.makeWorker()
        for (queue, priority) in [("a", Int32(9)), ("b", 0)] {
            var job = try NewJob(key: "of \(queue)", value: "v")
            (job.queue, job.priority) = (queue, priority)
            _ = try await database.store.enqueue([job])
        }
        let options = avoided.map { "-c%20enable_\($0)%3Doff" }.joined(separator: "%20")
        let configuration = try PostgresConfiguration(connectionString: "\(database.url)&options=\(options)")
        let pool = PostgresPool(configuration: configuration, size: 1, logger: .quiet)
        defer { pool.close() }
        var floors = ClaimFloors()
        let claims = try await JobStore(pool: pool).claim(
            for: worker,
            queues: ["a", "b"],
            kinds: [LockAndSet.kind],
            limit: 1,
            runLimit: 1,
            floors: &floors
        )
        #expect(claims.map(\.key.text) == ["of b"])
    }

    @Test
    func `lines of kinds that are not asked for cost nothing, however many they are and however long they wait`()
        async throws
    {
        let worker = try await database.makeWorker()
        _ = try await database.store.enqueue(
            (0..<500).map { number in
                var job = try NewJob(key: "foreign-\(number)", value: "v")
                (job.kind, job.priority) = ("nobody's", 0)
                return job
            }
        )
        try await database.enqueue("ours")
        #expect(try await database.claim(for: worker, limit: 1).map(\.key.text) == ["ours"])
        #expect(try await database.claim(for: worker).isEmpty)
        #expect(try await database.int("select count(*) from holdfast.key_lines where fence is not null") == 1)
    }

    @Test
    func `a run ends before a job of a kind that is not asked for, and its line shows that kind then`() async throws {
        let worker = try await database.makeWorker()
        let kinds = [LockAndSet.kind, "mail", LockAndSet.kind]
        _ = try await database.store.enqueue(
            kinds.map { kind in
                var job = try NewJob(key: "k", value: kind)
                job.kind = kind
                return job
            }
        )
        for kind in kinds {
            let claim = try #require(try await database.claim(for: worker, kinds: [kind]).first)
            #expect(claim.jobs.map(\.value) == [kind])
            _ = try await database.store.settle([.allSucceeded(claim)])
        }
        #expect(try await database.lines() == [])
    }

    @Test
    func `a claim has a budget of bytes, and what is over it keeps its turn`() async throws {
        let worker = try await database.makeWorker()
        let value = String(repeating: "x", count: 1 << 20)
        _ = try await database.store.enqueue(try (0..<10).map { try NewJob(key: "k\($0)", value: value) })
        let turns = "select turn from holdfast.key_lines where held_by is null order by turn"
        let before = try await database.column(Int64.self, turns)
        var floors = ClaimFloors()
        func claim(_ bytes: Int) async throws -> [String] {
            try await database.store.claim(
                for: worker,
                queues: ["default"],
                kinds: [LockAndSet.kind],
                limit: 100,
                runLimit: 100,
                bytes: bytes,
                floors: &floors
            ).map(\.key.text)
        }
        #expect(try await claim(3 << 20) == ["k0", "k1", "k2"])
        #expect(try await database.column(Int64.self, turns) == Array(before[3...]))
        // One goes whatever it has.
        #expect(try await claim(1) == ["k3"])
        #expect(try await claim(100 << 20).count == 6)
    }

    @Test
    func `the claims of one call come in that order too`() async throws {
        let worker = try await database.makeWorker()
        let count = 200
        _ = try await database.store.enqueue((0..<count).map { try NewJob(key: "k\($0)", value: "v") })
        // Places that have nothing to do with where the rows are.
        try await database.run(
            """
            update holdfast.key_lines
            set priority = (('x' || substr(md5(lock_key), 1, 4))::bit(16)::int) % 10,
                turn = ('x' || substr(md5(lock_key), 5, 8))::bit(32)::bigint
            """
        )
        let expected = try await database.column(
            String.self,
            "select lock_key from holdfast.key_lines order by priority, turn"
        )
        try await database.run("analyze holdfast.key_lines")
        #expect(try await database.claim(for: worker, limit: count).map(\.key.text) == expected)
    }

    @Test
    func `a line that another session has locked is passed over`() async throws {
        let database = database
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "b")
        try await database.pool.withTransaction { connection in
            let lock = Statement(name: "lock", sql: "select from holdfast.key_lines where lock_key = 'a' for update")
            _ = try await connection.execute(lock)
            #expect(try await database.claim(for: worker).map(\.key.text) == ["b"])
        }
        #expect(try await database.claim(for: worker).map(\.key.text) == ["a"])
    }

    @Test
    func `a line that is not ready, or in another queue, stays`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("ready", "later", "elsewhere")
        try await database.run(
            """
            update holdfast.key_lines set turn = null, due_at = clock_timestamp() + interval '1 hour'
            where lock_key = 'later'
            """
        )
        try await database.run("update holdfast.key_lines set queue = 'other' where lock_key = 'elsewhere'")
        #expect(try await database.claim(for: worker).map(\.key.text) == ["ready"])
        #expect(try await database.lines().filter { $0.holder == nil }.map(\.key) == ["elsewhere", "later"])
    }

    @Test
    func `a worker that is not on the list gets nothing`() async throws {
        let unknown = try await WorkerRegistry(pool: database.pool).nextID()
        let gone = try await database.makeWorker()
        try await WorkerRegistry(pool: database.pool).leave(gone)
        try await database.enqueue("a")
        for worker in [unknown, gone] { #expect(try await database.claim(for: worker).isEmpty) }
        let listed = try await database.makeWorker()
        #expect(try await database.claim(for: listed).count == 1)
    }

    @Test
    func `jobs that are enqueued after a claim are not in its run, and come with the next`() async throws {
        let worker = try await database.makeWorker()
        let first = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        let later = try await database.enqueue("a")
        #expect(claim.jobs.map(\.id) == first.map(\.id))
        #expect(try await database.claim(for: worker).isEmpty)
        #expect(try await database.store.settle([.allSucceeded(claim)]) == [.settled(hasMore: true)])
        #expect(try await database.claim(for: worker).flatMap(\.jobs).map(\.id) == later.map(\.id))
    }

    @Test
    func `a line that turns out to be empty is settled away`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        try await database.run("delete from holdfast.jobs")
        let claim = try #require(try await database.claim(for: worker).first)
        #expect(claim.jobs.isEmpty)
        #expect(try await database.store.settle([.allSucceeded(claim)]) == [.settled(hasMore: false)])
        #expect(try await database.lines() == [])
    }

    @Test
    func `a line below the floor waits for the next look from the beginning`() async throws {
        let worker = try await database.makeWorker()
        var floors = ClaimFloors()
        let start = ContinuousClock.now
        func claim(after seconds: Int) async throws -> [String] {
            try await database.store.claim(
                for: worker,
                queues: ["default"],
                kinds: [LockAndSet.kind],
                limit: 10,
                runLimit: 1,
                floors: &floors,
                at: start.advanced(by: .seconds(seconds))
            ).map(\.key.text)
        }
        try await database.enqueue("first")
        #expect(try await claim(after: 0) == ["first"])
        try await database.enqueue("old", "new")
        try await database.run(
            "update holdfast.key_lines set turn = -turn where lock_key = 'old'"
        )
        #expect(try await claim(after: 2) == ["new"])
        // Later than a look that took a minute would have it.
        #expect(try await claim(after: 3600) == ["old"])
    }
}
