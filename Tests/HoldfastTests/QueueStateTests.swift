import Holdfast
import Postgres
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct QueueStateTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// How long the line that is ready longest has been ready, as figures and as JSON have it.
    private func oldestWaits() async throws -> (figure: Duration?, isInJSON: Bool) {
        let views = QueueViews(pool: database.pool)
        let queue = try #require(try await views.queueStates(limit: 10).first)
        #expect(queue.depth == 2)
        return (queue.oldestWait, try await views.queues()[0].contains("oldestWaitMs"))
    }

    @Test
    func `the oldest wait is that of a line that may be claimed, and there is none where no line may be`() async throws
    {
        try await database.enqueue("k", "k")
        try await database.run("update holdfast.key_lines set ready_at = clock_timestamp() - interval '90 seconds'")
        let ready = try await oldestWaits()
        #expect(try #require(ready.figure) >= .seconds(90) && ready.isInJSON)
        // A backoff that is not over.
        try await database.run(
            "update holdfast.key_lines set turn = null, due_at = clock_timestamp() + interval '1 hour'"
        )
        let later = try await oldestWaits()
        #expect(later.figure == nil && !later.isInJSON)
        try await database.run(
            "update holdfast.key_lines set turn = 1, due_at = null, ready_at = clock_timestamp() - interval '90 seconds'"
        )
        #expect(try await database.claim(for: database.makeWorker()).count == 1)
        let running = try await oldestWaits()
        #expect(running.figure == nil && !running.isInJSON)
    }
}
