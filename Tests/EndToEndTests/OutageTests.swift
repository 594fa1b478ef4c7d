import Foundation
import LocalStack
import Postgres
import Synchronization
import Testing

@Suite(.serialized, .timeLimit(.minutes(4)))
struct OutageTests {
    /// What clients were told, by status.
    private final class Record: Sendable {
        struct Told {
            var accepted: [Int64] = []
            var unavailable: [String] = []
            var withoutRetryAfter = 0
            var others: [String] = []

            /// Refusals for one reason: a database that is locked for long is another.
            func unavailable(saying reason: String) -> Int { unavailable.count { $0.contains(reason) } }
        }

        private let told = Mutex(Told())

        var current: Told { told.withLock { $0 } }

        func add(_ answer: IntakeProcess.Answer) {
            told.withLock { told in
                switch (answer.status, answer.job) {
                case (202, let job?): told.accepted.append(job)
                case (503, _):
                    told.unavailable.append(answer.body)
                    if answer.headers["retry-after"] == nil { told.withoutRetryAfter += 1 }
                default: told.others.append("\(answer.status): \(answer.body)")
                }
            }
        }
    }

    @Test func `PostgreSQL killed and started under load loses no accepted job, and hangs no request`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--request-seconds", "20"]) { intake in
                let record = Record()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for client in 0..<16 {
                        group.addTask {
                            // Each answer comes within the client's deadline of 30 s, or this throws.
                            var number = 0
                            while !Task.isCancelled {
                                number += 1
                                let body = #"{"key":"key-\#(client)","value":"\#(number)"}"#
                                do {
                                    record.add(try await intake.post("/v1/jobs", body))
                                } catch  where Task.isCancelled {
                                    return
                                }
                            }
                        }
                    }
                    defer { group.cancelAll() }
                    for outage in 1...2 {
                        let before = record.current
                        try await eventually("jobs are accepted") {
                            record.current.accepted.count > before.accepted.count + 100
                        }
                        if outage == 1 {
                            await system.stack.postgres.kill()
                        } else {
                            await system.stack.postgres.stop()
                        }
                        try await eventually("clients are told") {
                            record.current.unavailable.count > before.unavailable.count + 20
                        }
                        #expect(try await intake.get("/readyz").status == 503)
                        try await system.stack.postgres.start()
                        let after = record.current
                        try await eventually("jobs are accepted again") {
                            record.current.accepted.count > after.accepted.count + 100
                        }
                    }
                }
                let told = record.current
                #expect(told.others.isEmpty, "\(told.others.prefix(3))")
                #expect(told.withoutRetryAfter == 0)
                let stored = Set(try await system.texts("select id::text from holdfast.jobs").compactMap { Int64($0) })
                let lost = told.accepted.filter { !stored.contains($0) }
                #expect(lost.isEmpty, "\(lost.count) of \(told.accepted.count) accepted jobs are lost")
                #expect(Set(told.accepted).count == told.accepted.count)
            }
        }
    }

    @Test func `a database that does not answer keeps no request beyond its deadline`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--request-seconds", "2"]) { intake in
                _ = try await intake.submit("k", "1")
                try await system.pool.withTransaction { connection in
                    try await connection.executeScript("lock table holdfast.finished_jobs, holdfast.jobs")
                    // On a machine that is short of time, it may not get a connection either, and says that it is away.
                    try await eventually("the request's deadline passes") {
                        let answer = try await intake.get("/v1/jobs/1")
                        #expect(answer.status == 503 && answer.headers["retry-after"] == "1")
                        return answer.body.contains("took too long")
                    }
                }
                #expect(try await intake.get("/v1/jobs/1").status == 200)
            }
        }
    }

    @Test func `past the limit of what waits to be stored, submissions are refused at once`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--waiting-mb", "1"]) { intake in
                let record = Record()
                let value = String(repeating: "v", count: 500_000)
                try await system.pool.withTransaction { connection in
                    try await connection.executeScript("lock table holdfast.jobs, holdfast.key_lines")
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for client in 0..<8 {
                            group.addTask {
                                record.add(
                                    try await intake.post("/v1/jobs", #"{"key":"\#(client)","value":"\#(value)"}"#)
                                )
                            }
                        }
                        // There is room for two at the most: the others are refused while nothing can be stored.
                        try await eventually("the others are refused") {
                            record.current.unavailable(saying: "than there is room for") >= 5
                        }
                        #expect(record.current.withoutRetryAfter == 0)
                        group.cancelAll()
                    }
                }
            }
        }
    }

    @Test func `questions that hang keep no submission, no token and no probe out`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("client", "submit,read")
            try await system.withIntake { intake in
                try await eventually("it is good") { try await intake.get("/v1/jobs/1", token: token).status == 404 }
                try await system.pool.withTransaction { connection in
                    try await connection.executeScript(
                        "set local idle_in_transaction_session_timeout = 0; lock table holdfast.finished_jobs"
                    )
                    try await withThrowingTaskGroup(of: Int.self) { group in
                        for _ in 0..<6 {
                            group.addTask { try await intake.get("/v1/jobs?kind=none", token: token).status }
                        }
                        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                        try await eventually("questions hang") { try await system.count(waiting) == 2 }
                        #expect(
                            try await intake.post("/v1/jobs", #"{"key":"k","value":"v"}"#, token: token).status == 202
                        )
                        let batch = #"[{"key":"k","value":"v"}]"#
                        #expect(try await intake.post("/v1/jobs/batch", batch, token: token).status == 202)
                        #expect(try await intake.get("/readyz").status == 200)
                        let later = try await system.makeToken("later", "submit")
                        try await eventually("a new token is known") {
                            try await intake.post("/v1/jobs", #"{"key":"k","value":"v"}"#, token: later).status == 202
                        }
                        // They have a deadline of their own, and say what to do.
                        for try await status in group { #expect(status == 503) }
                    }
                }
            }
        }
    }

    @Test func `without a database and without known tokens nobody is let in, nor turned away for good`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("reader", "read")
            await system.stack.postgres.stop()
            try await system.withIntake(["--require-tokens"]) { intake in
                let answer = try await intake.get("/getValue/k", token: token)
                #expect(answer.status == 503 && answer.headers["retry-after"] == "1")
                #expect(answer.body.contains("tokens cannot be checked"))
                try await system.stack.postgres.start()
                try await eventually("it is known") { try await intake.get("/getValue/k", token: token).status == 200 }
                #expect(try await intake.get("/getValue/k").status == 401)
            }
        }
    }
}
