import Foundation
import LocalStack
import Synchronization
import Testing

/// The database fails over to a synchronous standby; the parts know both by one URL.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct FailoverTests {
    /// What clients were told.
    private final class Record: Sendable {
        private let jobs = Mutex<[Int64]>([])

        var accepted: [Int64] { jobs.withLock { $0 } }

        func add(_ job: Int64) { jobs.withLock { $0.append(job) } }
    }

    @Test func `a standby takes over: nothing accepted is lost, fences rise, all parts come back by themselves`()
        async throws
    {
        try await TestSystem.with(hasStandby: true) { system in
            try await system.withIntake { intake in
                try await system.withWorkers(2) {
                    let record = Record()
                    try await whileSubmitting(to: intake, record) { try await failOver(system, record) }
                    try await eventually("every job has finished") {
                        try await system.count("select count(*) from holdfast.jobs") == 0
                    }
                    let finished = Set(
                        try await system.texts(
                            "select id::text from holdfast.finished_jobs where state = 'succeeded'"
                        ).compactMap { Int64($0) }
                    )
                    let lost = record.accepted.filter { !finished.contains($0) }
                    #expect(lost.isEmpty, "\(lost.count) of \(record.accepted.count) accepted jobs are lost")
                    #expect(Set(record.accepted).count == record.accepted.count, "no number is given twice")
                    let fencesOfTwo = """
                        select fence::text from holdfast.lock_history
                        where event = 'acquired' group by fence having count(*) > 1
                        """
                    #expect(try await system.texts(fencesOfTwo).isEmpty, "no fence is given twice")
                    #expect(try await system.texts("select 1::text from holdfast.fence_regressions").isEmpty)
                    #expect(try await system.texts("select 1::text from holdfast.lock_overlaps").isEmpty)
                    try await Program.run(["audit", "verify"], environment: system.environment)
                    let last = try await system.texts(
                        "select value from holdfast.finished_jobs where lock_key = 'key-0' order by id desc limit 1"
                    )
                    #expect(try await intake.get("/getValue/key-0").body == last.first.map { "\"\($0)\"" })
                }
            }
        }
    }

    /// Kills the primary and promotes the standby, whose fences go on above all that the primary had on record.
    private func failOver(_ system: TestSystem, _ record: Record) async throws {
        let standby = try #require(system.standby)
        try await eventually("jobs are accepted and run") {
            let finished = try await system.count("select count(*) from holdfast.finished_jobs")
            return record.accepted.count > 100 && finished > 50
        }
        let highest = try await system.count(
            "select greatest((select max(fence) from holdfast.lock_history), (select max(fence) from holdfast.key_lines))"
        )
        let start = ContinuousClock.now
        await system.stack.postgres.kill()
        try await standby.promote()
        let promoted = ContinuousClock.now
        // The test's own connections have to come back too.
        let next = try await eventually("the new primary is asked") {
            try? await system.count("select last_value from holdfast.fence")
        }
        #expect(next >= highest)
        let count = record.accepted.count
        try await eventually("jobs are accepted again") { record.accepted.count > count }
        let accepted = ContinuousClock.now
        let job = try #require(record.accepted.last)
        try await eventually("they run") {
            (try? await system.count("select count(*) from holdfast.finished_jobs where id >= \(job)")) ?? 0 > 0
        }
        print(
            "failover: promoted \(start.duration(to: promoted)) after the kill, first job accepted "
                + "\(promoted.duration(to: accepted)) and run \(promoted.duration(to: .now)) after that"
        )
    }

    /// Submits jobs on eight keys while `body` runs.
    private func whileSubmitting<Value: Sendable>(
        to intake: IntakeProcess,
        _ record: Record,
        _ body: () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<8 {
                group.addTask {
                    var number = 0
                    while !Task.isCancelled {
                        number += 1
                        let body = #"{"key":"key-\#(client)","value":"\#(number)","durationMs":20}"#
                        do {
                            // So that the workers keep up.
                            try await Task.sleep(for: .milliseconds(50))
                            let answer = try await intake.post("/v1/jobs", body)
                            if answer.status == 202, let job = answer.job { record.add(job) }
                        } catch  where Task.isCancelled {
                            return
                        }
                    }
                }
            }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
