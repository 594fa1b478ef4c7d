import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct LockHistoryTests {
    private var database: TestDatabase { FreshDatabase.current }

    private func makeClaim(jobs: Int = 1) async throws -> Claim {
        let worker = try await database.makeWorker()
        _ = try await database.store.enqueue((0..<jobs).map { try NewJob(key: "a", value: "\($0)") })
        return try #require(try await database.claim(for: worker, runLimit: jobs).first)
    }

    private func clock() async throws -> PostgresTimestamp {
        try await database.run("select clock_timestamp()")[0].decode(PostgresTimestamp.self, at: 0)
    }

    @Test
    func `an event is written with all that is known of it`() async throws {
        let claim = try await makeClaim()
        var event = LockEvent(.acquired, claim.jobs[0], of: claim, at: .now)
        event.token = "t\"o'k"
        event.validity = .milliseconds(1)
        event.waited = .microseconds(2)
        event.held = .seconds(3)
        event.reason = "no\0 reason" + String(repeating: "x", count: 3000)
        let at = try await LockHistory(store: database.store).append(event).at
        let row = try await database.run("select * from holdfast.lock_history")[0]
        #expect(try row.decode(PostgresTimestamp.self, named: "at") == at)
        #expect(try row.decode(String.self, named: "event") == "acquired")
        #expect(try row.decode(String.self, named: "lock_key") == "a")
        #expect(try row.decode(Int64.self, named: "job_id") == claim.jobs[0].id.rawValue)
        #expect(try row.decode(Int.self, named: "attempt") == 1)
        #expect(try row.decode(Int64.self, named: "worker_id") == claim.worker.rawValue)
        #expect(try row.decode(Int64.self, named: "fence") == claim.jobs[0].fence.rawValue)
        #expect(
            try await database.isTrue(
                "select token_digest = substr(sha256(convert_to($1, 'UTF8')), 1, 8) from holdfast.lock_history",
                [.text("t\"o'k")]
            )
        )
        #expect(try row.decodeIfPresent(String.self, named: "votes") == nil)
        #expect(try row.decode(Int.self, named: "validity_us") == 1000)
        #expect(try row.decode(Int.self, named: "waited_us") == 2)
        #expect(try row.decode(Int.self, named: "held_us") == 3_000_000)
        #expect(try row.decode(String.self, named: "reason") == "no reason" + String(repeating: "x", count: 1991))
    }

    @Test
    func `votes are written in the nodes' order`() async throws {
        let claim = try await makeClaim()
        var event = LockEvent(.acquired, claim.jobs[0], of: claim, at: .now)
        let nodes = [("redis-1:6379", Vote.Verdict.granted), (#"a"\b:1"#, .late), ("redis-3:6379", .unreachable)]
        // What microseconds do not reach is kept in milliseconds.
        let latencies: [Duration] = [.microseconds(32_767), .microseconds(32_768), .seconds(40)]
        event.votes = nodes.enumerated().map { index, node in
            Vote(node: node.0, verdict: node.1, latency: latencies[index])
        }
        _ = try await LockHistory(store: database.store).append(event)
        let votes = try await database.column(
            String.self,
            """
            select concat_ws(' ', v.node, v.verdict, v.us)
            from holdfast.lock_history h, holdfast.votes_of(h.votes, h.node_set) v
            order by v.ordinal
            """
        )
        #expect(votes == ["redis-1:6379 granted 32767", #"a"\b:1 late 32000"#, "redis-3:6379 unreachable 32767000"])
    }

    @Test
    func `an event's time is the database's, less the event's age`() async throws {
        let claim = try await makeClaim()
        let age = Duration.seconds(3600)
        let before = try await clock()
        let event = LockEvent(.acquired, claim.jobs[0], of: claim, at: .now.advanced(by: .zero - age))
        let at = try await LockHistory(store: database.store).append(event).at
        let after = try await clock()
        #expect(before.advanced(by: .zero - age) <= at)
        #expect(at <= after.advanced(by: .zero - age))
    }

    @Test
    func `a release is not written before its acquisition`() async throws {
        let claim = try await makeClaim()
        let acquired = try await database.begin(claim.jobs[0], of: claim)
        var release = LockEvent(.released, claim.jobs[0], of: claim, at: .now.advanced(by: .seconds(-60)))
        release.notBefore = acquired
        var settlement = Settlement(of: claim)
        settlement.record(release)
        _ = try await database.store.settle([settlement])
        let times = try await database.column(
            PostgresTimestamp.self,
            "select at from holdfast.lock_history where event = 'released'"
        )
        #expect(times == [acquired])
    }

    @Test
    func `concurrent events are all written, and each caller is told its own time`() async throws {
        let claim = try await makeClaim(jobs: 300)
        let history = LockHistory(store: database.store)
        let times = try await withThrowingTaskGroup(of: (Int64, PostgresTimestamp).self) { group in
            for (number, job) in claim.jobs.enumerated() {
                group.addTask {
                    // Ages that are far apart, so that no two times are the same.
                    let moment = ContinuousClock.now.advanced(by: .seconds(-number))
                    return (
                        job.fence.rawValue,
                        try await history.append(LockEvent(.acquired, job, of: claim, at: moment)).at
                    )
                }
            }
            var times: [Int64: PostgresTimestamp] = [:]
            for try await (fence, at) in group { times[fence] = at }
            return times
        }
        var written: [Int64: PostgresTimestamp] = [:]
        for row in try await database.run("select fence, at from holdfast.lock_history") {
            written[try row.decode(Int64.self, at: 0)] = try row.decode(PostgresTimestamp.self, at: 1)
        }
        #expect(written.count == 300)
        #expect(written == times)
    }
}
