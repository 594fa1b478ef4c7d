import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct LockedLineTests {
    private var database: TestDatabase { FreshDatabase.current }
    private var submissions: Submissions {
        Submissions(store: database.store, wakeups: Wakeups(pool: database.pool, logger: .quiet))
    }

    /// Runs `body` while a session that somebody left open has a line locked.
    private func withLockedLine(_ key: String, _ body: () async throws -> Void) async throws {
        _ = try await database.store.enqueue([try NewJob(key: key, value: "first")])
        try await database.pool.withTransaction { connection in
            try await connection.executeScript("select holdfast.set_priority(min(id), 1) from holdfast.jobs")
            try await withThrowingTaskGroup(of: Void.self) { group in
                // A session that is idle for too long in its transaction is ended.
                group.addTask {
                    while true {
                        try await connection.executeScript("select")
                        try await Task.sleep(for: .seconds(1))
                    }
                }
                try await body()
                group.cancelAll()
            }
        }
    }

    @Test
    func `a line that a session keeps locked makes only its own jobs wait`() async throws {
        let submissions = submissions
        var stuck: Task<[JobReceipt], any Error>?
        try await withLockedLine("stuck") {
            let job = try NewJob(key: "stuck", value: "v")
            stuck = Task { [try await submissions.submit(job)] }
            // With the others of its batch at first, and then apart: all of these are stored while it waits.
            for round in 0..<20 {
                try await withThrowingTaskGroup(of: JobReceipt.self) { group in
                    for key in 0..<8 {
                        let job = try NewJob(key: "free-\(key)", value: "\(round)")
                        group.addTask { try await submissions.submit(job) }
                    }
                    for try await _ in group {}
                }
            }
            #expect(try await database.int("select count(*) from holdfast.jobs where lock_key like 'free%'") == 160)
            #expect(try await database.int("select count(*) from holdfast.jobs where lock_key = 'stuck'") == 1)
        }
        _ = try await stuck?.value
        #expect(try await database.int("select count(*) from holdfast.jobs where lock_key = 'stuck'") == 2)
    }

    @Test
    func `a job whose line stays locked is refused, and its refusal says why`() async throws {
        try await withLockedLine("stuck") {
            let error = await #expect(throws: LockedLine.self) {
                try await submissions.submit(NewJob(key: "stuck", value: "v"))
            }
            #expect("\(error as Any)".contains("nothing was stored"))
            await #expect(throws: PostgresError.self) {
                try await submissions.submitWhole([NewJob(key: "stuck", value: "v"), NewJob(key: "free", value: "v")])
            }
        }
        #expect(try await database.int("select count(*) from holdfast.jobs") == 1)
    }
}
