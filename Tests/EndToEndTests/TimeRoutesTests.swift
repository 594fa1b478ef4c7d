import Foundation
import Holdfast
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct TimeRoutesTests {
    private struct Events: Decodable {
        struct Event: Decodable {
            let id: Int64
            let at: String
            let event: String
            let key: String
        }

        let events: [Event]
        let next: String?
    }

    private struct Waits: Decodable {
        struct Job: Decodable {
            let job: Int64
            let key: String
            let queue: String
            let since: String
            let startedAt: String?
            let finishedAt: String?
            let state: String?
        }

        let now: String
        let unfinished: [Job]
        let finished: [Job]
    }

    private struct Throughput: Decodable {
        struct Queue: Decodable {
            let queue: String
            let succeeded: [Int]
            let failed: [Int]
            let cancelled: [Int]
        }

        let stepSeconds: Int
        let queues: [Queue]
    }

    @Test func `a span of the history comes page by page, the latest first, and of one key when it is named`()
        async throws
    {
        try await Self.withFinishedJobs { system, intake, _ in
            let span = try await Self.span(system)
            let all = try await Self.get(intake, "/v1/history?\(span)&limit=1000", as: Events.self)
            // Each job's acquisition and release; another's are shown too.
            #expect(all.events.count == 8 && all.next == nil)
            #expect(all.events.map(\.at) == all.events.map(\.at).sorted(by: >))

            var paged: [Int64] = []
            var next: String? = ""
            while let cursor = next {
                let page = try await Self.get(
                    intake,
                    "/v1/history?\(span)&limit=3\(cursor.isEmpty ? "" : "&cursor=\(cursor)")",
                    as: Events.self
                )
                #expect(page.events.count <= 3)
                paged += page.events.map(\.id)
                next = page.next
            }
            #expect(paged == all.events.map(\.id))

            let one = try await Self.get(intake, "/v1/history?\(span)&key=b", as: Events.self)
            #expect(one.events.map(\.key) == ["b", "b"])

            // The end is not part of the span.
            let last = try #require(all.events.first)
            let upToLast = try await Self.span(system, until: last.at)
            let before = try await Self.get(intake, "/v1/history?\(upToLast)", as: Events.self)
            #expect(before.events.map(\.id) == all.events.dropFirst().map(\.id))
        }
    }

    @Test func `however many look at the queues at once, their jobs are counted once`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let waiting = """
                    select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'oldestWaitMs'
                    """
                try await withThrowingTaskGroup(of: IntakeProcess.Answer.self) { group in
                    try await system.pool.withTransaction { connection in
                        try await connection.executeScript("lock table holdfast.jobs")
                        for _ in 0..<3 { group.addTask { try await intake.get("/v1/queues") } }
                        try await eventually("one is counting") { try await system.count(waiting) > 0 }
                        try await eventually("all have asked") { try intake.connectionCount() >= 3 }
                        // Of the connections for questions one counts for all, and these are served by the other.
                        for _ in 0..<3 { #expect(try await intake.get("/v1/workers").status == 200) }
                        #expect(try await system.count(waiting) == 1)
                    }
                    for try await answer in group { #expect(answer.status == 200) }
                }
            }
        }
    }

    @Test func `waits are those of what finished in the span, and of all that is unfinished and due`() async throws {
        try await Self.withFinishedJobs { system, intake, jobs in
            _ = try await intake.post("/v1/queues/default/pause", "")
            let waiting = try await intake.submit("a", "w")
            let later = try await intake.post("/v1/jobs", #"{"key":"a","value":"v","runAt":"2100-01-01T00:00:00Z"}"#)
            #expect(later.status == 202)
            let span = try await Self.span(system)
            let waits = try await Self.get(intake, "/v1/waits?\(span)", as: Waits.self)
            #expect(waits.unfinished.map(\.job) == [waiting])
            #expect(Set(waits.finished.map(\.job)) == Set(jobs))
            for job in waits.finished {
                #expect(job.state == "succeeded" && job.queue == "default")
                let started = try #require(job.startedAt)
                let finished = try #require(job.finishedAt)
                #expect(job.since <= started && started <= finished && finished <= waits.now)
            }
            let one = try await Self.get(intake, "/v1/waits?\(span)&key=b", as: Waits.self)
            #expect(one.unfinished.isEmpty && one.finished.map(\.key) == ["b"])
            let few = try await Self.get(intake, "/v1/waits?\(span)&limit=1", as: Waits.self)
            #expect(few.finished.map(\.job) == [waits.finished.first?.job])
        }
    }

    @Test func `the throughput is by queue and by how jobs ended`() async throws {
        try await Self.withFinishedJobs { system, intake, jobs in
            let other = try await intake.post("/v1/jobs", #"{"key":"c","value":"v","queue":"other"}"#)
            let cancelled = try #require(other.job)
            _ = try await intake.post("/v1/jobs/\(cancelled)/cancel", "")
            // What was asked a moment ago is what is told.
            let throughput = try await eventually("the cancelled job is counted") { () -> Throughput? in
                let answer = try await Self.get(intake, "/v1/throughput", as: Throughput.self)
                return answer.queues.count == 2 ? answer : nil
            }
            #expect(throughput.stepSeconds == 5)
            #expect(throughput.queues.map(\.queue) == ["default", "other"])
            #expect(throughput.queues.map { $0.succeeded.reduce(0, +) } == [jobs.count, 0])
            #expect(throughput.queues.map { $0.cancelled.reduce(0, +) } == [0, 1])
            #expect(throughput.queues.allSatisfy { $0.failed == Array(repeating: 0, count: 60) })
        }
    }

    @Test func `a span has two ends, the first of them earlier, by two hours at most`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                for path in ["/v1/history", "/v1/waits"] {
                    for query in [
                        "", "since=2026-11-24T08:00:00Z", "until=2026-11-24T08:00:00Z",
                        "since=2026-11-24T08:00:00Z&until=2026-11-24T08:00:00Z",
                        "since=2026-11-24T08:00:00Z&until=2026-11-24T07:00:00Z",
                        "since=2026-11-24T08:00:00Z&until=2026-11-24T10:00:01Z",
                        "since=2026-11-24T08:00:00Z&until=2026-11-24T09:00:00Z&limit=1001",
                        "since=soon&until=2026-11-24T09:00:00Z",
                    ] {
                        let answer = try await intake.get("\(path)?\(query)")
                        #expect(answer.status == 400, "\(path)?\(query): \(answer.body)")
                    }
                    let longest = "since=2026-11-24T08:00:00Z&until=2026-11-24T10:00:00Z"
                    #expect(try await intake.get("\(path)?\(longest)").status == 200)
                }
                let cursor = "since=2026-11-24T08:00:00Z&until=2026-11-24T10:00:00Z&cursor=NDI"
                #expect(try await intake.get("/v1/history?\(cursor)").status == 400)
            }
        }
    }

    /// Lends an intake, and four jobs that have finished.
    private static func withFinishedJobs(
        _ body: (TestSystem, IntakeProcess, [Int64]) async throws -> Void
    ) async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorker { _ in
                    var jobs: [Int64] = []
                    for key in ["a", "b", "a", "c"] { jobs.append(try await intake.submit(key, "v")) }
                    for job in jobs { #expect(try await system.outcome(of: job).state == .succeeded) }
                    try await body(system, intake, jobs)
                }
            }
        }
    }

    /// The query of a span around now, or up to a moment.
    private static func span(_ system: TestSystem, until: String? = nil) async throws -> String {
        let ends = try await system.texts(
            """
            select holdfast.rfc3339(now() + n * interval '50 minutes') from unnest(array[-1, 1]) as n order by n
            """
        )
        return "since=\(ends[0])&until=\(until ?? ends[1])"
    }

    private static func get<Value: Decodable>(_ intake: IntakeProcess, _ path: String, as type: Value.Type)
        async throws -> Value
    {
        let answer = try await intake.get(path)
        guard answer.status == 200 else { throw Program.Failed(description: "\(answer)") }
        return try JSONDecoder().decode(type, from: Data(answer.body.utf8))
    }
}
