import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// Settlements that come too late, in parts, or twice.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct StaleSettleTests {
    enum Usurper: Sendable, CaseIterable { case nobody, another, itself }

    private var database: TestDatabase { FreshDatabase.current }
    private var registry: WorkerRegistry { WorkerRegistry(pool: database.pool) }

    @Test(arguments: Usurper.allCases, [false, true])
    func `a stale settlement changes nothing, and is recorded as refused`(by: Usurper, inDoubt: Bool) async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        try await database.bury(worker)
        #expect(try await registry.rescue().map(\.key.text) == ["a"])
        switch by {
        case .nobody: break
        case .another:
            #expect(try await database.claim(for: database.makeWorker()).count == 1)
        case .itself:
            try await registry.heartbeat(worker, .init(name: "test", queues: [], kinds: [], slots: 1))
            #expect(try await database.claim(for: worker).count == 1)
        }
        let lines = try await database.lines()
        var settlement = Settlement(of: claim)
        settlement.succeed(claim.jobs[0])
        settlement.record(LockEvent(.released, claim.jobs[1], of: claim, at: .now))
        settlement.retry(claim.jobs[1], error: "out of luck", after: .zero)
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement], inDoubt ? .inDoubt : .usual) == [.stale])
        #expect(try await database.lines() == lines)
        #expect(try await database.unfinished() == receipts.map(\.id))
        #expect(try await database.finished() == [])
        let attempts = try await database.column(Int.self, "select attempt from holdfast.jobs order by id")
        #expect(attempts == [0, 0])
        #expect(
            try await database.history() == ["rescued", "released 1", "released 1", "refused 1", "refused 1"]
        )
        let refused = try await database.column(
            Int64.self,
            "select fence from holdfast.lock_history where event = 'refused' order by id"
        )
        #expect(refused == claim.jobs.map(\.fence.rawValue))
    }

    @Test
    func `one stale settlement does not hold back the others of its batch`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "b")
        let claims = try await database.claim(for: worker).sorted { $0.key < $1.key }
        try await database.run("update holdfast.key_lines set held_by = null where lock_key = 'a'")
        #expect(
            try await database.store.settle(claims.map(Settlement.allSucceeded)) == [.stale, .settled(hasMore: false)]
        )
        #expect(try await database.finished() == [receipts[1].id])
        #expect(try await database.unfinished() == [receipts[0].id])
        #expect(try await database.history(of: "a") == ["released 1", "refused 1"])
        #expect(try await database.history(of: "b") == ["released 1"])
    }

    @Test
    func `a part is settled while the run goes on, and the rest with its line`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a", "a")
        let claim = try #require(try await database.claim(for: worker, runLimit: 2).first)
        var settlement = Settlement(of: claim)
        settlement.succeed(claim.jobs[0])
        let part = settlement.takePart()
        #expect(settlement.isEmpty)
        #expect(try await database.store.settle([part]) == [.settled(hasMore: false)])
        #expect(try await database.finished() == [receipts[0].id])
        #expect(try await database.lines().map(\.holder) == [worker])
        #expect(try await database.claim(for: database.makeWorker()).isEmpty)

        settlement.succeed(claim.jobs[1])
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: true)])
        #expect(try await database.finished() == [receipts[0].id, receipts[1].id])
        #expect(try await database.lines() == [Line(key: "a", holder: nil, head: receipts[2].id)])
        #expect(try await database.history() == ["released 1", "released 1"])
    }

    @Test
    func `a part that took the line's last job leaves the line held until the last settlement`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        settlement.succeed(claim.jobs[0])
        #expect(try await database.store.settle([settlement.takePart()]) == [.settled(hasMore: false)])
        #expect(try await database.lines().map(\.holder) == [worker])
        let later = try await database.enqueue("a")
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: true)])
        #expect(try await database.lines() == [Line(key: "a", holder: nil, head: later[0].id)])
    }

    @Test(arguments: [false, true])
    func `a settlement that was committed already is not recorded twice`(isClaimedAgain: Bool) async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker, runLimit: 1).first)
        let settlement = Settlement.allSucceeded(claim)
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: true)])
        if isClaimedAgain { #expect(try await database.claim(for: worker).count == 1) }
        let lines = try await database.lines()
        let results = try await database.store.settle([settlement], .inDoubt)
        #expect(results == [.settled(hasMore: true)])
        #expect(try await database.history() == ["released 1"])
        #expect(try await database.finished() == [receipts[0].id])
        #expect(try await database.lines() == lines)
    }

    @Test
    func `a part that was committed already is not recorded twice, and the run goes on`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        settlement.succeed(claim.jobs[0])
        let part = settlement.takePart()
        _ = try await database.store.settle([part])
        let lines = try await database.lines()
        #expect(try await database.store.settle([part], .inDoubt) != [.stale])
        #expect(try await database.history() == ["released 1"])
        #expect(try await database.lines() == lines)
        settlement.succeed(claim.jobs[1])
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: false)])
        #expect(try await database.finished() == receipts.map(\.id))
    }

    @Test
    func `a settlement in doubt that was not committed is recorded`() async throws {
        let worker = try await database.makeWorker()
        let receipts = try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        #expect(
            try await database.store.settle([.allSucceeded(claim)], .inDoubt) == [.settled(hasMore: false)]
        )
        #expect(try await database.finished() == receipts.map(\.id))
        #expect(try await database.history() == ["released 1"])
    }
}
