import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct SettleTests {
    private var database: TestDatabase { FreshDatabase.current }

    @Test
    func `a finished job moves to the finished ones, and its line to the next job`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker, runLimit: 1).first)
        let startedAt = try await database.begin(claim.jobs[0], of: claim)
        #expect(try await database.store.find(receipts[0].id)?.state == .running)
        var settlement = Settlement(of: claim)
        settlement.record(LockEvent(.released, claim.jobs[0], of: claim, at: .now))
        settlement.finish(claim.jobs[0], .succeeded, startedAt: startedAt)
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: true)])

        let job = try #require(try await database.store.find(receipts[0].id))
        #expect(job.state == .succeeded)
        #expect(job.key.text == "a")
        #expect(job.value == "a-0")
        #expect(job.attempt == 1)
        #expect(job.error == nil)
        #expect(job.fence == claim.jobs[0].fence)
        #expect(job.submittedAt == receipts[0].submittedAt)
        #expect(job.startedAt == startedAt)
        #expect(try #require(job.finishedAt) >= startedAt)
        let by = try await database.column(Int64.self, "select worker_id from holdfast.finished_jobs")
        #expect(by == [worker.rawValue])
        #expect(try await database.unfinished() == [receipts[1].id])
        #expect(try await database.lines() == [Line(key: "a", holder: nil, head: receipts[1].id)])
        #expect(try await database.history() == ["acquired 1", "released 1"])
        #expect(try await database.claim(for: worker).flatMap(\.jobs).map(\.id) == [receipts[1].id])
    }

    @Test
    func `a line goes with its last job, and comes again with the next`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "b", "a")
        let claims = try await database.claim(for: worker)
        #expect(
            try await database.store.settle(claims.map(Settlement.allSucceeded))
                == [.settled(hasMore: false), .settled(hasMore: false)]
        )
        #expect(try await database.lines() == [])
        #expect(try await database.unfinished() == [])
        #expect(Set(try await database.finished()) == Set(receipts.map(\.id)))
        let again = try await database.enqueue("a")
        #expect(try await database.claim(for: worker).flatMap(\.jobs).map(\.id) == again.map(\.id))
    }

    @Test
    func `lines that are freed have turns of their own, later than all before`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "b", "c", "a", "b", "c", "idle")
        let before = try await database.int("select max(turn)::int from holdfast.key_lines")
        let claims = try await database.claim(for: worker, limit: 3, runLimit: 1)
        #expect(claims.count == 3)
        _ = try await database.store.settle(claims.map(Settlement.allSucceeded))
        let turns = try await database.column(
            Int64.self,
            "select turn from holdfast.key_lines where lock_key <> 'idle' order by turn"
        )
        #expect(turns.count == 3 && Set(turns).count == 3)
        #expect(try #require(turns.first) > before)
    }

    @Test
    func `a failure keeps why, at most 2,000 characters of it`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        settlement.finish(claim.jobs[0], .failed, error: "no\0 🔑" + String(repeating: "x", count: 3000))
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: false)])
        let job = try #require(try await database.store.find(receipts[0].id))
        #expect(job.state == .failed)
        #expect(job.error == "no 🔑" + String(repeating: "x", count: 1996))
    }

    @Test
    func `a job to be retried keeps its place, and its attempt counts`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        settlement.record(LockEvent(.released, claim.jobs[0], of: claim, at: .now))
        settlement.retry(claim.jobs[0], error: "out of luck", after: .zero)
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: true)])
        let job = try #require(try await database.store.find(receipts[0].id))
        #expect(job.state == .retrying)
        #expect(job.attempt == 1)
        #expect(job.error == "out of luck")
        let next = try #require(try await database.claim(for: worker).first)
        #expect(next.jobs.map(\.id) == receipts.map(\.id))
        #expect(next.jobs.map(\.attempt) == [2, 1])
        #expect(next.jobs[0].fence > claim.jobs[1].fence)
    }

    @Test
    func `a line is ready again when its backoff ends`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        settlement.retry(claim.jobs[0], error: "out of luck", after: .seconds(3600))
        settlement.freesLine = true
        _ = try await database.store.settle([settlement])
        #expect(try await database.claim(for: worker).isEmpty)
        #expect(
            try await database.isTrue(
                """
                select due_at between clock_timestamp() + interval '50 minutes' and clock_timestamp() + interval '1 hour'
                from holdfast.key_lines
                """
            )
        )
        try await database.run("update holdfast.key_lines set turn = nextval('holdfast.turn'), due_at = null")
        #expect(try await database.claim(for: worker).count == 1)
    }

    @Test
    func `what is given back burns no attempt`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: true)])
        #expect(try await database.store.find(receipts[0].id)?.state == .queued)
        let next = try #require(try await database.claim(for: worker).first)
        #expect(next.jobs.map(\.id) == receipts.map(\.id))
        #expect(next.jobs.map(\.attempt) == [1, 1])
        #expect(try await database.history() == [])
    }

    @Test
    func `a line that a foreign holder keeps out waits since the first time, until it is let in`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "a")
        let since = "select waiting_since from holdfast.key_lines"
        var waits: [PostgresTimestamp?] = []
        for isWaiting in [true, true, false] {
            let claim = try #require(try await database.claim(for: worker).first)
            #expect((claim.waited == nil) == waits.isEmpty)
            var settlement = Settlement(of: claim)
            settlement.isWaiting = isWaiting
            settlement.freesLine = true
            _ = try await database.store.settle([settlement])
            waits.append(try await database.run(since)[0].decodeIfPresent(PostgresTimestamp.self, at: 0))
        }
        #expect(waits[0] != nil)
        #expect(waits[1] == waits[0])
        #expect(waits[2] == nil)
    }

    @Test
    func `each line of a batch is settled as its own settlement says`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "b", "c", "a", "b", "c")
        var settlements = try await database.claim(for: worker).sorted { $0.key > $1.key }.map { Settlement(of: $0) }
        let jobs = settlements.map { $0.claim.jobs[0] }
        settlements[0].succeed(jobs[0])
        settlements[1].retry(jobs[1], error: "out of luck", after: .zero)
        for index in settlements.indices { settlements[index].freesLine = true }
        settlements[2].succeed(jobs[2])
        settlements[2].succeed(settlements[2].claim.jobs[1])
        #expect(
            try await database.store.settle(settlements)
                == [.settled(hasMore: true), .settled(hasMore: true), .settled(hasMore: false)]
        )
        let lines = try await database.lines()
        #expect(lines.map(\.key) == ["b", "c"])
        #expect(lines.map(\.holder) == [nil, nil])
        #expect(lines[0].head.rawValue <= receipts[1].id.rawValue)
        #expect(lines[1].head == receipts[5].id)
        #expect(try await database.unfinished() == [receipts[1].id, receipts[4].id, receipts[5].id])
    }

    @Test
    func `a job that is enqueued while its line is settled is never lost`() async throws {
        let database = database
        let worker = try await database.makeWorker()
        let (submitters, each) = (2, 200)
        let submitted = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<submitters {
                group.addTask {
                    for _ in 0..<each { try await database.enqueue("a") }
                    return each
                }
            }
            group.addTask {
                // Until the group has nobody left who submits.
                while !Task.isCancelled {
                    for claim in try await database.claim(for: worker) {
                        #expect(try await Self.settleWhenFree(.allSucceeded(claim), database) != .stale)
                    }
                }
                return 0
            }
            var submitted = 0
            while submitted < submitters * each, let count = try await group.next() { submitted += count }
            group.cancelAll()
            try? await group.waitForAll()  // What it was doing was cancelled.
            return submitted
        }
        #expect(submitted == submitters * each)
        // The settler's last claim may have been cancelled in the middle.
        try await database.bury(worker)
        _ = try await WorkerRegistry(pool: database.pool).rescue()
        let last = try await database.makeWorker()
        while let claim = try await database.claim(for: last).first {
            #expect(try await database.store.settle([.allSucceeded(claim)])[0] != .stale)
        }
        #expect(try await database.unfinished() == [])
        #expect(try await database.lines() == [])
        let finished = try await database.column(Int64.self, "select id from holdfast.finished_jobs order by fence")
        #expect(finished.count == submitted)
        #expect(finished == finished.sorted())
    }

    // A line that a batch is being added to is locked for a moment.
    private static func settleWhenFree(
        _ settlement: Settlement,
        _ database: TestDatabase
    ) async throws -> SettlementResult {
        while true {
            let result = try await database.store.settle([settlement])[0]
            if result != .busy { return result }
        }
    }

    @Test
    func `a line that another session has locked is busy, and the others are settled meanwhile`() async throws {
        let database = database
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "b")
        let settlements = try await database.claim(for: worker).sorted { $0.key < $1.key }.map(Settlement.allSucceeded)
        try await database.pool.withTransaction { connection in
            let lock = Statement(name: "lock", sql: "select from holdfast.key_lines where lock_key = 'a' for update")
            _ = try await connection.execute(lock)
            #expect(try await database.store.settle(settlements) == [.busy, .settled(hasMore: false)])
            #expect(try await database.finished() == [receipts[1].id])
            #expect(try await database.history() == ["released 1"])
        }
        #expect(try await database.store.settle([settlements[0]]) == [.settled(hasMore: false)])
        #expect(try await database.finished() == [receipts[1].id, receipts[0].id])
        #expect(try await database.history() == ["released 1", "released 1"])
    }
}
