import Holdfast
import Redlock
import TestSupport
import Testing

@testable import Worker

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct RunLedgerTests {
    @Test
    func `what is noted together is in one part, though one is taken meanwhile`() async throws {
        let database = FreshDatabase.current
        _ = try await database.store.enqueue([try NewJob(key: "k", value: "v")])
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        let kinds = [LockAndSet.kind]
        try await registry.heartbeat(worker, .init(name: "test", queues: ["default"], kinds: kinds, slots: 8))
        var floors = ClaimFloors()
        let claims = try await database.store.claim(
            for: worker,
            queues: ["default"],
            kinds: kinds,
            limit: 1,
            runLimit: 1,
            floors: &floors
        )
        let claim = try #require(claims.first)
        let (_, parts) = AsyncStream.makeStream(of: RunLedger.self)
        let ledger = RunLedger(claim, parts: parts)
        ledger.noteTogether {
            ledger.note { $0.record(LockEvent(.released, claim.jobs[0], of: claim, at: .now)) }
            if ledger.takePart() != nil { Issue.record("a part was taken between the two") }
            ledger.note { $0.finish(claim.jobs[0], .succeeded) }
        }
        let part = try #require(ledger.takePart()?.0.value)
        #expect(part.events.count == 1 && part.finished.count == 1)
    }
}
