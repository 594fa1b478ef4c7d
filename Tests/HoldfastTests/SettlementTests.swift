import Holdfast
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct SettlementTests {
    private var database: TestDatabase { FreshDatabase.current }

    @Test
    func `what a long task leaves to be recorded during an outage is bounded, and its end is kept`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a")
        let claim = try #require(try await database.claim(for: worker).first)
        let job = claim.jobs[0]
        try await database.begin(job, of: claim)
        var settlement = Settlement(of: claim)
        let count = Settlement.extensionLimit * 5
        for number in 1...count {
            var event = LockEvent(.extended, job, of: claim, at: .now)
            event.validity = .seconds(20)
            event.held = .seconds(number)
            settlement.record(event)
        }
        #expect(settlement.events.count == Settlement.extensionLimit)
        settlement.succeed(job)
        #expect(settlement.events.count == Settlement.extensionLimit + 1)
        settlement.freesLine = true
        #expect(try await database.store.settle([settlement]) == [.settled(hasMore: false)])
        // The first ones as they were, then the last one, then the end.
        let held = try await database.column(
            Int.self,
            "select held_us / 1000000 from holdfast.lock_history where event = 'extended' order by id"
        )
        #expect(held == Array(1..<Settlement.extensionLimit) + [count])
        #expect(try await database.history(of: "a").suffix(1) == ["released 1"])
        #expect(try await database.int("select count(*) from holdfast.lock_holds where ended_by = 'released'") == 1)
    }

    @Test
    func `extensions of another hold are not dropped`() async throws {
        let worker = try await database.makeWorker()
        try await database.enqueue("a", "a")
        let claim = try #require(try await database.claim(for: worker).first)
        var settlement = Settlement(of: claim)
        for job in claim.jobs {
            for _ in 1...Settlement.extensionLimit { settlement.record(LockEvent(.extended, job, of: claim, at: .now)) }
        }
        #expect(settlement.events.contains { $0.value.fence == claim.jobs[0].fence })
        #expect(settlement.events.last?.value.fence == claim.jobs[1].fence)
        #expect(settlement.events.count == Settlement.extensionLimit + 1)
    }
}
