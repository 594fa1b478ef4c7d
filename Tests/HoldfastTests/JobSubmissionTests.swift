import Foundation
import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct JobSubmissionTests {
    private struct Mail: TaskHandler {
        struct Payload: Codable { var to: String }

        static let kind = "mail"
        func run(_ payload: Payload, _ context: TaskContext) async throws {}
    }

    private struct Abandoned: Error {}

    private var database: TestDatabase { FreshDatabase.current }

    private func submit(_ job: JobSubmission, _ connection: PostgresConnection) async throws -> JobID {
        let statement = Statement(name: "submit", sql: JobSubmission.statement)
        return JobID(
            try await connection.execute(statement, job.parameters.map { .text($0) })[0].decode(Int64.self, at: 0)
        )
    }

    @Test
    func `a job submitted within a transaction is there when that commits, with every field`() async throws {
        var job = try JobSubmission(key: "k", Mail.Payload(to: "me"), for: Mail.self)
        job.queue = "other"
        job.priority = 0
        job.runAt = Date(timeIntervalSince1970: 4_000_000_000.125)
        job.maxAttempts = 3
        job.lockTTL = .seconds(5)
        job.duration = .milliseconds(1500)
        job.timeout = .seconds(7)
        job.metadata = #"{"customer": 42}"#
        job.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        job.idempotencyKey = "once"
        let id = try await database.pool.withTransaction { connection in
            let id = try await submit(job, connection)
            #expect(try await submit(job, connection) == id)
            #expect(try await database.store.find(id) == nil)
            return id
        }
        let found = try #require(try await database.store.find(id))
        #expect(found.key.text == "k" && found.kind == "mail" && found.value == #"{"to":"me"}"#)
        #expect(found.queue == "other" && found.priority == 0 && found.maxAttempts == 3 && found.state == .scheduled)
        #expect(found.lockTTL == .seconds(5) && found.duration == .milliseconds(1500) && found.timeout == .seconds(7))
        #expect(found.metadata == job.metadata && found.traceparent == job.traceparent)
        #expect(found.runAt?.rfc3339() == "2096-10-02T07:06:40.125000Z")
    }

    @Test
    func `its defaults are those of every submission, and a transaction that is rolled back leaves nothing`()
        async throws
    {
        await #expect(throws: Abandoned.self) {
            try await database.pool.withTransaction { connection in
                _ = try await submit(JobSubmission(key: "gone", value: "v"), connection)
                throw Abandoned()
            }
        }
        let id = try await database.pool.withTransaction { try await submit(JobSubmission(key: "k", value: "v"), $0) }
        let found = try #require(try await database.store.find(id))
        let plain = try NewJob(key: "k", value: "v")
        #expect(found.kind == plain.kind && found.queue == plain.queue && found.priority == Int(plain.priority))
        #expect(found.maxAttempts == Int(plain.maxAttempts) && found.lockTTL == plain.lockTTL)
        #expect(found.duration == plain.duration && found.timeout == nil && found.metadata == nil)
        #expect(try await database.unfinished() == [id])
    }

    @Test
    func `what is out of bounds is refused with the argument's name`() async throws {
        var job = JobSubmission(key: "k", value: "v")
        job.priority = 10
        let error = try await postgresError {
            _ = try await database.pool.withTransaction { try await submit(job, $0) }
        }
        #expect(error?.description.contains("priority must be from 0 to 9") == true)
    }
}
