import HTTPTypes
import Holdfast
import Postgres
import TestSupport
import Testing

@testable import Intake

@Suite(.timeLimit(.minutes(2)))
struct WaitingLimitTests {
    @Test(.freshDatabase) func `so many requests may wait for jobs, and one more is refused`() async throws {
        let watch = JobWatch(store: FreshDatabase.current.store, limit: 1000, logger: .quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<1000 {
                group.addTask { try await watch.wait(for: JobID(1), within: .seconds(600)) }
            }
            while watch.waiterCount < 1000 { await Task.yield() }
            let refused = await #expect(throws: Problem.self) {
                try await watch.wait(for: JobID(1), within: .seconds(600))
            }
            #expect(refused?.status == .serviceUnavailable && refused?.retryAfter != nil)
            // Its end lets all of them go, and whoever comes later.
            let run = Task { await watch.run() }
            run.cancel()
            await run.value
            try await group.waitForAll()
            try await watch.wait(for: JobID(1), within: .seconds(600))
        }
    }

    @Test func `a token may have a quarter of the places, and leaves those that it gives back`() throws {
        var places = Places(limit: 8)
        for _ in 0..<2 { try places.take(7, "waits") }
        #expect(throws: Problem.self) { try places.take(7, "waits") }
        places.giveBack(7)
        try places.take(7, "waits")
        // Another's, and those of clients that need no token, until there are none left.
        for _ in 0..<2 { try places.take(8, "waits") }
        for _ in 0..<4 { try places.take(nil, "waits") }
        let problem = #expect(throws: Problem.self) { try places.take(9, "waits") }
        #expect(problem?.status == .serviceUnavailable && problem?.retryAfter != nil)
    }

    @Test(.freshDatabase) func `so many may listen to events, and one more is refused until one goes`() async throws {
        let tailer = EventTailer(reader: EventReader(pool: FreshDatabase.current.pool), logger: .quiet)
        var listeners: [EventSubscription] = []
        for _ in 0..<EventTailer.listenerLimit { listeners.append(try await tailer.subscribe(key: nil, job: nil)) }
        let refused = await #expect(throws: Problem.self) { try await tailer.subscribe(key: nil, job: nil) }
        #expect(refused?.status == .serviceUnavailable && refused?.retryAfter != nil)
        listeners.removeLast()
        listeners.append(try await tailer.subscribe(key: nil, job: nil))
        withExtendedLifetime(listeners) {}
    }

    @Test(.freshDatabase) func `a listener that takes nothing is sent away, and comes back to what it missed`()
        async throws
    {
        let pool = FreshDatabase.current.pool
        let reader = EventReader(pool: pool)
        let tailer = EventTailer(reader: reader, logger: .quiet)
        let slow = try await tailer.subscribe(key: nil, job: nil)
        let fast = try await tailer.subscribe(key: "key-1", job: nil)
        let count = EventTailer.bufferLimit + 500
        try await pool.withConnection { connection in
            try await connection.executeScript(
                """
                insert into holdfast.lock_history (event, lock_key, job_id, fence, at)
                select 'acquired', 'key-' || n % 100, n, n, clock_timestamp() from generate_series(1, \(count)) n
                """
            )
        }
        let run = Task { await tailer.run() }
        // One that keeps up gets all that is for it, and shows that the tailer has passed everything on.
        var heard = 0
        for await case .event in fast.messages {
            heard += 1
            if heard == count / 100 { break }
        }
        run.cancel()
        await run.value
        var taken: [Int64] = []
        for await case .event(let event) in slow.messages { taken.append(event.id) }
        #expect(taken.count == EventTailer.bufferLimit)
        let last = try #require(taken.last)
        let missed = try await reader.events(after: last, upTo: .max, key: nil, job: nil, limit: 1000)
        #expect(missed.count == 500 && missed.first?.id == last + 1)
    }
}
