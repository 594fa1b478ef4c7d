import Foundation
import LocalStack
import Testing

@Suite(.serialized, .timeLimit(.minutes(4)))
struct MetricsTests {
    @Test func `intake and worker show what they did, as Prometheus has it`() async throws {
        try await TestSystem.with { system in
            try await system.withMeasuredWorker { worker in
                try await system.withIntake { intake in
                    for number in 1...3 {
                        let job = try await intake.submit("k", "\(number)")
                        _ = try await system.outcome(of: job)
                    }
                    #expect(try await intake.get("/nowhere/\(UInt64.random(in: 0 ... .max))").status == 404)
                    // What waits is seen: a queue that nobody serves.
                    let body = #"{"key":"other","value":"v","queue":"unserved"}"#
                    #expect(try await intake.post("/v1/jobs", body).status == 202)
                    try await Self.check(intake)
                    try await Self.check(worker: worker)
                }
            }
        }
    }

    private static func check(_ intake: IntakeProcess) async throws {
        let page = try await MetricsPage(of: intake)
        #expect(try await page.problems() == "")
        #expect(page["holdfast_jobs_accepted_total"] == 4)
        #expect(page[#"holdfast_http_requests_total{method="POST",route="/v1/jobs",status="202"}"#] == 4)
        #expect(page[#"holdfast_http_requests_total{method="GET",route="none",status="404"}"#] == 1)
        #expect(page[#"holdfast_http_request_seconds_count{route="/v1/jobs"}"#] == 4)
        #expect(page[#"holdfast_batch_size_count{batch="submit"}"#] == 4)
        #expect(page["holdfast_database_up"] == 1)
        #expect(page["holdfast_workers"] == 1)
        #expect(page[#"holdfast_queue_depth{queue="unserved"}"#] == 1)
        #expect(page[#"holdfast_queue_ready_lines{queue="unserved"}"#] == 1)
        #expect(page.values[#"holdfast_queue_oldest_wait_seconds{queue="unserved"}"#] == 0)
        #expect(page[#"holdfast_queue_unserved_lines{kind="lockAndSet",queue="unserved"}"#] == 1)
        #expect(page.values[#"holdfast_queue_unserved_wait_seconds{kind="lockAndSet",queue="unserved"}"#] != nil)
        #expect(page.values["holdfast_queue_counts_age_seconds"] != nil)
        #expect(page["holdfast_lock_nodes_voting"] == 3)
        #expect(page["holdfast_database_connections_limit"] == 2)
        #expect(page["holdfast_http_connections"] >= 1)
        #expect(page["process_resident_memory_bytes"] > 1_000_000)
    }

    private static func check(worker: IntakeProcess) async throws {
        // The lock is released, and the outcome settled, a moment after the job has finished.
        try await eventually("all is counted") {
            try await MetricsPage(of: worker)[#"holdfast_settlements_total{result="settled"}"#] >= 3
        }
        let page = try await MetricsPage(of: worker)
        #expect(try await page.problems() == "")
        #expect(page["holdfast_claims_total"] >= 3)
        #expect(page["holdfast_claimed_jobs_total"] >= 3)
        #expect(page["holdfast_line_wait_seconds_count"] == page["holdfast_claims_total"])
        #expect(page[#"holdfast_lock_acquires_total{outcome="granted"}"#] == 3)
        #expect(page[#"holdfast_attempts_total{outcome="succeeded"}"#] == 3)
        #expect(page[#"holdfast_jobs_finished_total{state="succeeded"}"#] == 3)
        #expect(page["holdfast_hold_seconds_count"] == 3 && page["holdfast_lock_wait_seconds_count"] == 3)
        #expect(page[#"holdfast_refused_writes_total{at="value"}"#] == 0)
        #expect(page[#"holdfast_batch_size_count{batch="history"}"#] == 3)
        #expect(page["holdfast_slots"] == 1000 && page["holdfast_slots_used"] == 0)
        let votes = page.values.filter { $0.key.hasPrefix("holdfast_lock_votes_total") && $0.key.contains("granted") }
        #expect(votes.count == 3 && votes.values.reduce(0, +) >= 6)
    }

    @Test func `refused writes, lost holds and lost quorums are counted`() async throws {
        try await TestSystem.with { system in
            try await system.withMeasuredWorker { worker in
                try await system.withIntake { intake in
                    let refused = try await intake.submit("k", "v")
                    _ = try await system.outcome(of: refused)
                    // While the first job of a run is at work, somebody writes with a fence that was drawn after the next one's.
                    let node = try #require(system.stack.nodes.first)
                    try await eventually("the write is refused") {
                        let jobs = try await system.texts(
                            """
                            select unnest(array[
                                holdfast.submit(key => 'late', value => 'v', duration_ms => 900),
                                holdfast.submit(key => 'late', value => 'v', duration_ms => 0)])::text
                            """
                        ).compactMap { Int64($0) }
                        try await eventually("the first runs") {
                            try await system.events(of: jobs[0]).contains("acquired")
                        }
                        let fence = try await system.count("select nextval('holdfast.fence')")
                        try await Tool.redis(node.url, "SET", "holdfast:fence:late", "\(fence)")
                        _ = try await system.outcome(of: jobs[1])
                        return try await MetricsPage(of: worker)[#"holdfast_refused_writes_total{at="value"}"#] > 0
                    }
                    let long = try await intake.submit("long", "v", durationMs: 60_000, lockTTLMs: 2000)
                    try await eventually("it runs") { try await system.events(of: long).contains("acquired") }
                    for node in system.stack.nodes.prefix(2) { await node.stop() }
                    try await eventually("its hold is lost") {
                        try await MetricsPage(of: worker)[#"holdfast_holds_cancelled_total{reason="lost"}"#] == 1
                    }
                    let page = try await MetricsPage(of: worker)
                    #expect(page["holdfast_lock_nodes_voting"] == 1 && page["holdfast_lock_quorum"] == 2)
                    await system.stack.postgres.stop()
                    try await eventually("the intake says that the database is away") {
                        try await MetricsPage(of: intake).values["holdfast_database_up"] == 0
                    }
                    try await system.stack.postgres.start()
                }
            }
        }
    }

    @Test func `a token that may read is needed where tokens are`() async throws {
        try await TestSystem.with { system in
            let submit = try await system.makeToken("submits", "submit")
            let read = try await system.makeToken("prometheus", "metrics")
            try await system.withIntake { intake in
                #expect(try await intake.get("/metrics").status == 401)
                #expect(try await intake.get("/metrics", token: submit).status == 403)
                _ = try await MetricsPage(of: intake, token: read)
            }
        }
    }
}
