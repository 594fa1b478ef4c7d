import Foundation
import Holdfast
import LocalStack
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct StoryTests {
    @Test func `two services get the same key at once, and the second waits until the first has released`() async throws
    {
        try await TestSystem.with { system in
            try await system.withIntake { one in
                try await system.withIntake { other in
                    try await system.withWorkers(2) {
                        let first = try await one.post("/lockAndSetValue", #"{"key":"story","value":"A"}"#)
                        let second = try await other.post("/lockAndSetValue", #"{"key":"story","value":"B"}"#)
                        #expect(first.status == 200 && first.body.isEmpty)
                        #expect(second.status == 200 && second.body.isEmpty)
                        let (a, b) = (try #require(first.job), try #require(second.job))
                        #expect(try await system.outcome(of: a).state == .succeeded)
                        #expect(try await system.outcome(of: b).state == .succeeded)
                        // The select that the program prints.
                        let holds = try await system.pool.execute(
                            Statement(
                                name: "holds",
                                sql: """
                                    select job_id, acquired_at, ended_at, ended_by::text
                                    from holdfast.lock_holds where lock_key = 'story' order by acquired_at
                                    """
                            )
                        )
                        #expect(try holds.map { try $0.decode(Int64.self, at: 0) } == [a, b])
                        #expect(try holds.map { try $0.decode(String.self, at: 3) } == ["released", "released"])
                        let released = try holds[0].decode(PostgresTimestamp.self, at: 2)
                        #expect(try holds[1].decode(PostgresTimestamp.self, at: 1) >= released)
                        #expect(try await one.get("/getValue/story").body == #""B""#)
                        #expect(try await other.get("/getValue/story").body == #""B""#)
                    }
                }
            }
        }
    }

    @Test func `200 jobs on 20 keys from 4 clients run in order under 4 workers`() async throws {
        try await TestSystem.with { system in
            let writes = try WriteMonitor(of: system.stack.nodes[0])
            try await system.withIntake { intake in
                try await system.withWorkers(4) {
                    let jobs = try await withThrowingTaskGroup(of: [(id: Int64, key: String, value: String)].self) {
                        group in
                        for client in 1...4 {
                            group.addTask {
                                var mine: [(id: Int64, key: String, value: String)] = []
                                for number in 1...50 {
                                    let (key, value) = ("key-\(number % 20)", "\(client).\(number)")
                                    mine.append((try await intake.submit(key, value, durationMs: 5), key, value))
                                }
                                return mine
                            }
                        }
                        var all: [(id: Int64, key: String, value: String)] = []
                        for try await some in group { all += some }
                        return all.sorted { $0.id < $1.id }
                    }
                    #expect(jobs.count == 200)
                    for job in jobs { #expect(try await system.outcome(of: job.id).state == .succeeded) }
                    #expect(try await system.count("select count(*) from holdfast.lock_overlaps") == 0)
                    #expect(try await system.count("select count(*) from holdfast.fence_regressions") == 0)
                    #expect(try await system.count("select count(*) from holdfast.key_lines") == 0)
                    #expect(
                        try await system.count("select count(*) from holdfast.lock_holds where ended_at is null") == 0
                    )
                    for (key, submitted) in Dictionary(grouping: jobs, by: \.key) {
                        #expect(try await writes.values(of: key, count: submitted.count) == submitted.map(\.value))
                        let last = submitted[submitted.count - 1].value
                        #expect(try await intake.get("/getValue/\(key)").body == "\"\(last)\"")
                    }
                }
            }
            await writes.end()
        }
    }
}
