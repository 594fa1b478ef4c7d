import Foundation
import Holdfast
import LocalStack
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct FaultTests {
    @Test(arguments: ["/lockAndSetValue", "/v1/jobs"])
    func `a job that was accepted runs although its intake was killed`(path: String) async throws {
        try await TestSystem.with { system in
            let job = try await system.withIntake { intake in
                let answer = try await intake.post(path, #"{"key":"k","value":"kept"}"#)
                intake.program.process.signal(SIGKILL)
                #expect((200...202).contains(answer.status))
                return try #require(answer.job)
            }
            try await system.withWorkers(1) {
                let finished = try await system.outcome(of: job)
                #expect(finished.state == .succeeded)
            }
        }
    }

    @Test func `a killed worker's job runs elsewhere, and its attempt counts`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let job = try await system.withWorker("doomed") { doomed in
                    let job = try await intake.submit("k", "v", durationMs: 1500, lockTTLMs: 2000)
                    try await eventually("the job runs") { try await system.events(of: job) == ["acquired"] }
                    doomed.process.signal(SIGKILL)
                    return job
                }
                try await system.withWorkers(1) {
                    let finished = try await system.outcome(of: job)
                    #expect(finished.state == .succeeded)
                    #expect(finished.attempt == 2)
                    let events = try await system.events(of: job).filter { $0 != "waiting" && $0 != "extended" }
                    #expect(events == ["acquired", "rescued", "acquired", "released"])
                }
            }
        }
    }

    @Test func `a worker frozen past its time changes nothing, and that is recorded`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorker("frozen") { frozen in
                    let job = try await intake.submit("k", "v", durationMs: 3000, lockTTLMs: 2000)
                    // The first extension is recorded after the write has been answered: else the write is what fails.
                    try await eventually("the job runs, and has written") {
                        let value = try await intake.get("/getValue/k").body
                        let events = try await system.events(of: job)
                        return value == #""v""# && events.prefix(2) == ["acquired", "extended"]
                    }
                    frozen.process.signal(SIGSTOP)
                    try await system.withWorkers(1) {
                        let finished = try await system.outcome(of: job)
                        #expect(finished.attempt == 2)
                    }
                    let finished = try await system.outcome(of: job)
                    frozen.process.signal(SIGCONT)
                    try await eventually("the stale settle is refused") {
                        try await system.events(of: job).contains("refused")
                    }
                    try await expectUnchanged(finished, system)
                    // It has noticed, and works on.
                    let next = try await intake.submit("k", "next")
                    #expect(try await system.outcome(of: next).state == .succeeded)
                    let value = try await intake.get("/getValue/k").body
                    #expect(value == #""next""#)
                    // Its task had written in time: nothing but the settle was stale.
                    #expect(try await refusals(of: job, system).map { $0.hasPrefix("settle: ") } == [true])
                    try await verify(system)
                }
            }
        }
    }

    @Test func `a worker frozen while it writes has its write refused, and its settle, once each`() async throws {
        try await TestSystem.with { system in
            let link = try await HeldLink(to: system.stack.nodes[0].port)
            try await system.withIntake { intake in
                try await system.withWorker("frozen", arguments: ["--value-node", link.url]) { frozen in
                    let first = try await intake.submit("k", "first", durationMs: 1)
                    #expect(try await system.outcome(of: first).state == .succeeded)
                    link.hold(from: "stale")
                    let job = try await intake.submit("k", "stale", durationMs: 100, lockTTLMs: 2000)
                    try await eventually("it writes") { link.held.contains("stale") }
                    frozen.process.signal(SIGSTOP)
                    try await system.withWorkers(1) {
                        #expect(try await system.outcome(of: job).attempt == 2)
                        let next = try await intake.submit("k", "next", durationMs: 1)
                        #expect(try await system.outcome(of: next).state == .succeeded)
                    }
                    let finished = try await system.outcome(of: job)
                    link.pass()
                    try await eventually("the node has answered") { link.replies > 0 }
                    frozen.process.signal(SIGCONT)
                    try await eventually("write and settle are refused") {
                        try await refusals(of: job, system).count >= 2
                    }
                    try await expectUnchanged(finished, system)
                    #expect(try await intake.get("/getValue/k").body == #""next""#)
                    let last = try await intake.submit("k", "last", durationMs: 1)
                    #expect(try await system.outcome(of: last).state == .succeeded)
                    let reasons = try await refusals(of: job, system)
                    let beginnings = reasons.map { String($0.prefix { $0 != " " }) }
                    #expect(beginnings.sorted() == ["settle:", "value"], "\(reasons)")
                    try await verify(system)
                }
            }
        }
    }

    /// The reasons of the events `refused` of a job, all of its first attempt.
    private func refusals(of job: Int64, _ system: TestSystem) async throws -> [String] {
        try await system.texts(
            """
            select reason from holdfast.lock_history
            where job_id = \(job) and event = 'refused' and attempt = 1 order by id
            """
        )
    }

    /// Checks that a job is still as its second attempt left it.
    private func expectUnchanged(_ finished: Job, _ system: TestSystem) async throws {
        let after = try await system.outcome(of: finished.id.rawValue)
        #expect(after.fence == finished.fence && after.finishedAt == finished.finishedAt)
        #expect(after.state == .succeeded && after.attempt == 2)
        #expect(try await system.count("select count(*) from holdfast.lock_overlaps") == 0)
        #expect(try await system.count("select count(*) from holdfast.fence_regressions") == 0)
    }

    /// Waits until a job has finished; the test's own connections have to come back too.
    private func outcomeAfterRestart(of job: Int64, _ system: TestSystem) async throws -> Job {
        try await eventually("the job has finished") { () async throws -> Job? in try? await system.outcome(of: job) }
    }

    /// Runs `holdfast audit verify`, which fails when anything is found.
    private func verify(_ system: TestSystem) async throws {
        try await Program.run(["audit", "verify"], environment: system.environment(for: "holdfast_auditor"))
    }

    @Test func `a worker that is told to stop finishes what it runs`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let (job, output) = try await system.withWorker("leaving") { worker in
                    let job = try await intake.submit("k", "v", durationMs: 1000)
                    try await eventually("the job runs") { try await system.events(of: job) == ["acquired"] }
                    worker.process.signal(SIGTERM)
                    await worker.process.waitForExit()
                    #expect(worker.process.exitStatus == 0)
                    return (job, worker.output)
                }
                #expect(try await system.outcome(of: job).attempt == 1)
                #expect(try await system.events(of: job) == ["acquired", "released"])
                #expect(try await system.count("select count(*) from holdfast.workers") == 0)
                #expect(output.contains("Worker stopped"))
            }
        }
    }

    @Test func `a worker that may not finish puts its job back with no attempt burned`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let job = try await system.withWorker("hurried", arguments: ["--drain-seconds", "0"]) { worker in
                    let job = try await intake.submit("k", "v", durationMs: 3000)
                    try await eventually("the job runs") { try await system.events(of: job) == ["acquired"] }
                    worker.process.signal(SIGTERM)
                    await worker.process.waitForExit()
                    return job
                }
                #expect(try await system.events(of: job) == ["acquired", "released"])
                try await system.withWorkers(1) {
                    let finished = try await system.outcome(of: job)
                    #expect(finished.attempt == 1)
                }
            }
        }
    }

    @Test func `a task does not start before its acquisition is recorded`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorkers(1) {
                    let job = try await system.pool.withTransaction { connection in
                        // While this is held, history can be read and not written.
                        try await connection.executeScript("lock table holdfast.lock_history in exclusive mode")
                        let job = try await intake.submit("k", "v")
                        try await eventually("the history's writer waits") {
                            try await system.isWaiting(to: "holdfast.settle")
                        }
                        let value = try await intake.get("/getValue/k").body
                        #expect(value == "null")
                        return job
                    }
                    let finished = try await system.outcome(of: job)
                    #expect(finished.state == .succeeded)
                    let value = try await intake.get("/getValue/k").body
                    #expect(value == #""v""#)
                }
            }
        }
    }

    @Test func `PostgreSQL stopped before an acquisition is recorded loses nothing, and no effect is without a record`()
        async throws
    {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorkers(1) {
                    var job: Int64 = 0
                    try await system.restartPostgres(whileWriting: "lock_history") {
                        job = try await intake.submit("k", "v")
                    }
                    let finished = try await outcomeAfterRestart(of: job, system)
                    #expect(finished.state == .succeeded)
                    #expect(try await system.events(of: job).filter { $0 == "acquired" }.count == 1)
                    #expect(try await intake.get("/getValue/k").body == #""v""#)
                    try await verify(system)
                }
            }
        }
    }

    @Test func `PostgreSQL stopped between a task's end and its settle loses nothing, and the task runs once`()
        async throws
    {
        try await TestSystem.with { system in
            let monitor = try WriteMonitor(of: system.stack.nodes[0])
            try await system.withIntake { intake in
                try await system.withWorkers(1) {
                    let job = try await intake.submit("k", "v", durationMs: 1000)
                    try await eventually("the job runs") { try await system.events(of: job) == ["acquired"] }
                    try await system.restartPostgres(whileWriting: "finished_jobs") {}
                    let finished = try await outcomeAfterRestart(of: job, system)
                    #expect(finished.state == .succeeded && finished.attempt == 1)
                    #expect(try await system.events(of: job) == ["acquired", "released"])
                    // Another job's write after it shows that it was not written again meanwhile.
                    let next = try await eventually("the intake is back") { try? await intake.submit("k", "w") }
                    #expect(try await system.outcome(of: next).state == .succeeded)
                    #expect(try await monitor.values(of: "k", count: 2) == ["v", "w"])
                    try await verify(system)
                }
            }
            await monitor.end()
        }
    }

    @Test func `a line that somebody keeps locked holds up no other key`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let blocked = try await intake.submit("hot", "v")
                try await system.pool.withTransaction { connection in
                    try await connection.executeScript(
                        "set local idle_in_transaction_session_timeout = 0; "
                            + "select from holdfast.key_lines where lock_key = 'hot' for update"
                    )
                    async let first = intake.post("/v1/jobs", #"{"key":"hot","value":"w","durationMs":1}"#)
                    try await eventually("the first submission waits for the line") {
                        try await system.count(
                            """
                            select count(*) from pg_stat_activity
                            where wait_event_type = 'Lock' and query like '%holdfast.enqueue%'
                            """
                        ) > 0
                    }
                    // These two are stored together, once the first has been given up.
                    async let hot = intake.post("/v1/jobs", #"{"key":"hot","value":"w","durationMs":1}"#)
                    async let cold = intake.post("/v1/jobs", #"{"key":"cold","value":"w","durationMs":1}"#)
                    _ = try await first
                    let (refused, stored) = try await (hot, cold)
                    #expect(refused.status == 503)
                    #expect(refused.body.contains("nothing was stored"))
                    #expect(stored.status == 202)
                }
                try await system.withWorkers(1) {
                    let finished = try await system.outcome(of: blocked)
                    #expect(finished.state == .succeeded)
                }
            }
        }
    }

    @Test func `without a quorum jobs wait, and no attempt is burned`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorker { worker in
                    await system.stack.nodes[1].kill()
                    await system.stack.nodes[2].kill()
                    let job = try await intake.submit("k", "v")
                    try await eventually("the worker says so") { worker.output.contains("No quorum of lock nodes") }
                    #expect(try await system.events(of: job) == [])
                    try await system.stack.nodes[1].start()
                    let finished = try await system.outcome(of: job)
                    #expect(finished.state == .succeeded && finished.attempt == 1)
                }
            }
        }
    }

    @Test func `a foreign holder of the lock is waited for`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorkers(1) {
                    for node in system.stack.nodes { try await redis(node, "set", "locks:k", "foreign", "px", "60000") }
                    let job = try await intake.submit("k", "v")
                    try await eventually("it waits") { try await system.events(of: job) == ["waiting"] }
                    // Another key is not slowed.
                    let other = try await intake.submit("free", "v")
                    #expect(try await system.outcome(of: other).state == .succeeded)
                    for node in system.stack.nodes { try await redis(node, "del", "locks:k") }
                    #expect(try await system.outcome(of: job).attempt == 1)
                    #expect(try await system.events(of: job) == ["waiting", "acquired", "released"])
                }
            }
        }
    }

    @Test func `while PostgreSQL is away the intake says so, and a running job is settled afterwards`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorkers(1) {
                    let job = try await intake.submit("k", "v", durationMs: 1000)
                    try await eventually("the job runs") { try await system.events(of: job) == ["acquired"] }
                    await system.stack.postgres.kill()
                    let refused = try await intake.post("/v1/jobs", #"{"key":"k","value":"w"}"#)
                    #expect(refused.status == 503)
                    #expect(refused.headers["retry-after"] != nil)
                    try await system.stack.postgres.start()
                    let finished = try await eventually("the job has finished") {
                        // The test's own connections have to come back too.
                        try? await system.outcome(of: job)
                    }
                    #expect(finished.state == .succeeded)
                    let next = try await eventually("the intake is back") {
                        try? await intake.submit("k", "after")  // Still away: asked again.
                    }
                    #expect(try await system.outcome(of: next).state == .succeeded)
                    #expect(try await intake.get("/getValue/k").body == #""after""#)
                    try await verify(system)
                }
            }
        }
    }

    private func redis(_ node: RedisServer, _ arguments: String...) async throws {
        let process = try LocalProcess(
            URL(fileURLWithPath: "/usr/bin/redis-cli"),
            ["-p", "\(node.port)"] + arguments,
            output: FileHandle(forWritingAtPath: "/dev/null")
        )
        await process.waitForExit()
        #expect(process.exitStatus == 0)
    }
}

extension TestSystem {
    /// Whether a statement waits for a lock.
    fileprivate func isWaiting(to statement: String) async throws -> Bool {
        try await count(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%\(statement)%'"
        ) > 0
    }

    /// Kills PostgreSQL once something waits to write a table, which `body` leads to, and starts it again.
    fileprivate func restartPostgres(whileWriting table: String, _ body: () async throws -> Void) async throws {
        // The connection of this transaction is lost with the server.
        _ = try? await pool.withTransaction { connection in
            try await connection.executeScript(
                "set local idle_in_transaction_session_timeout = 0; lock table holdfast.\(table) in exclusive mode"
            )
            try await body()
            try await eventually("\(table) waits to be written") {
                try await isWaiting(to: "holdfast.settle")
            }
            await stack.postgres.kill()
        }
        try await stack.postgres.start()
    }
}
