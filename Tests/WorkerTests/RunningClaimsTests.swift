import Holdfast
import Redlock
import TestSupport
import Testing
import Worker

/// What a worker knows of the memory that its jobs take.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct RunningClaimsTests {
    @Test
    func `values of 1 MiB count from their claim until they are settled, and then nothing does`() async throws {
        let database = FreshDatabase.current
        let value = String(repeating: "v", count: NewJob.maximumValueBytes)
        _ = try await database.store.enqueue(["a", "a", "b", "c"].map { try NewJob(key: $0, value: value) })
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        try await registry.heartbeat(
            worker,
            .init(name: "test", queues: ["default"], kinds: [LockAndSet.kind], slots: 8)
        )
        let running = RunningClaims()
        var settled = 0
        while settled < 4 {
            // From the beginning each time.
            var floors = ClaimFloors()
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                kinds: [LockAndSet.kind],
                limit: 100,
                runLimit: 100,
                runDuration: .seconds(3600),
                floors: &floors
            )
            running.begin(claims)
            #expect(running.bytes >= claims.reduce(0) { $0 + $1.jobs.count } << 20)
            for claim in claims {
                let before = running.bytes
                var settlement = Settlement(of: claim)
                for job in claim.jobs { settlement.finish(job, .succeeded) }
                settlement.freesLine = true
                _ = try await database.store.settle([settlement])
                running.end(claim)
                settled += claim.jobs.count
                #expect(running.bytes <= before - claim.jobs.count << 20)
            }
            #expect(running.bytes == 0)
        }
        #expect(settled == 4)
    }

    @Test
    func `a worker runs more values of 1 MiB than it may have claimed at once`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let padding = String(repeating: " ", count: NewJob.maximumValueBytes - 100)
            try await workers.withWorker(Scripted { _, _ in }) { () async throws in
                // 64 MiB at once: if what is settled went on counting, the last would wait for ever.
                for round in 0..<3 {
                    var jobs: [JobID] = []
                    for number in 0..<24 {
                        let job = try await workers.submit("\(round)-\(number % 8)") { job in
                            job.value = #"{"number": \#(number)\#(padding)}"#
                        }
                        jobs.append(job)
                    }
                    for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
                }
            }
        }
    }
}
