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
        var event = LockEvent(.lost, claim.jobs[0], of: claim, at: .now)
        event.token = "t\"o'k"
        event.validity = .milliseconds(1)
        event.waited = .microseconds(2)
        event.held = .seconds(3)
        event.reason = "no\0 reason" + String(repeating: "x", count: 3000)
        let at = try await LockHistory(pool: database.pool).append(event)
        let row = try await database.run("select * from holdfast.lock_history")[0]
        #expect(try row.decode(PostgresTimestamp.self, named: "at") == at)
        #expect(try row.decode(String.self, named: "event") == "lost")
        #expect(try row.decode(String.self, named: "lock_key") == "a")
        #expect(try row.decode(Int64.self, named: "job_id") == claim.jobs[0].id.rawValue)
        #expect(try row.decode(Int.self, named: "attempt") == 1)
        #expect(try row.decode(Int64.self, named: "worker_id") == claim.worker.rawValue)
        #expect(try row.decode(Int64.self, named: "fence") == claim.jobs[0].fence.rawValue)
        #expect(try row.decode(String.self, named: "token") == "t\"o'k")
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
        event.votes = nodes.enumerated().map { index, node in
            Vote(node: node.0, verdict: node.1, latency: .microseconds(index))
        }
        _ = try await LockHistory(pool: database.pool).append(event)
        let votes = try await database.column(
            String.self,
            """
            select concat_ws(' ', v.vote ->> 'node', v.vote ->> 'verdict', v.vote ->> 'us')
            from holdfast.lock_history, jsonb_array_elements(votes) with ordinality as v(vote, place)
            order by v.place
            """
        )
        #expect(votes == ["redis-1:6379 granted 0", #"a"\b:1 late 1"#, "redis-3:6379 unreachable 2"])
    }

    @Test
    func `an event's time is the database's, less the event's age`() async throws {
        let claim = try await makeClaim()
        let age = Duration.seconds(3600)
        let before = try await clock()
        let event = LockEvent(.acquired, claim.jobs[0], of: claim, at: .now.advanced(by: .zero - age))
        let at = try await LockHistory(pool: database.pool).append(event)
        let after = try await clock()
        #expect(before.advanced(by: .zero - age) <= at)
        #expect(at <= after.advanced(by: .zero - age))
    }

    @Test
    func `a release is not written before its acquisition`() async throws {
        let claim = try await makeClaim()
        let history = LockHistory(pool: database.pool)
        let acquired = try await history.append(LockEvent(.acquired, claim.jobs[0], of: claim, at: .now))
        var release = LockEvent(.released, claim.jobs[0], of: claim, at: .now.advanced(by: .seconds(-60)))
        release.notBefore = acquired
        #expect(try await history.append(release) == acquired)
    }

    @Test
    func `concurrent events are all written, and each caller is told its own time`() async throws {
        let claim = try await makeClaim(jobs: 300)
        let history = LockHistory(pool: database.pool)
        let times = try await withThrowingTaskGroup(of: (Int64, PostgresTimestamp).self) { group in
            for (number, job) in claim.jobs.enumerated() {
                group.addTask {
                    // Ages that are far apart, so that no two times are the same.
                    let moment = ContinuousClock.now.advanced(by: .seconds(-number))
                    return (
                        job.fence.rawValue, try await history.append(LockEvent(.acquired, job, of: claim, at: moment))
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
