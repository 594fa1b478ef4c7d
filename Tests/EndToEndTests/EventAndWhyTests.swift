import AsyncHTTPClient
import Foundation
import Holdfast
import LocalStack
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct EventAndWhyTests {
    @Test func `events come as they happen, and a listener that comes back misses none`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorker { _ in
                    let first = try await Listener.collect(intake, "?key=a", until: "released") {
                        _ = try await intake.submit("other", "v")
                        _ = try await intake.submit("a", "1")
                    }
                    #expect(first.names == ["acquired", "released"])
                    #expect(first.data.allSatisfy { $0.contains(#""key":"a""#) })
                    // While nobody listens.
                    let job = try await intake.submit("a", "2")
                    #expect(try await system.outcome(of: job).state == .succeeded)
                    let last = try #require(first.ids.last)
                    let second = try await Listener.collect(intake, "?key=a", after: last, until: "released") {}
                    #expect(second.names == ["acquired", "released"])
                    #expect(second.ids.allSatisfy { $0 > last })
                    let all = try await Listener.collect(intake, "?job=\(job)", after: 0, until: "released") {}
                    #expect(all.ids == second.ids)
                    #expect(try await intake.get("/v1/events?job=0").status == 400)
                }
            }
        }
    }

    @Test func `why says each cause`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let lone = try await intake.submit("k", "v", durationMs: 60_000)
                try await intake.expectCause("no-worker", of: lone)
                let second = try await intake.submit("k", "v")
                let ahead = try await intake.expectCause("ahead", of: second)
                #expect(ahead.contains(#""ahead":1"#) && ahead.contains(#""job":\#(lone)"#))
                let later = try await intake.post(
                    "/v1/jobs",
                    #"{"key":"l","value":"v","runAt":"2100-01-01T00:00:00Z"}"#
                )
                #expect(
                    try await intake.expectCause("scheduled", of: try #require(later.job)).contains(
                        #""until":"2100-01-01T00:00:00.000000Z""#
                    )
                )
                _ = try await intake.post("/v1/queues/default/pause", "")
                try await intake.expectCause("paused", of: lone)
                #expect(try await intake.get("/v1/queues").body.contains(#""paused":true"#))
                try await system.withWorker { _ in
                    try await eventually("there is a worker") {
                        try await !intake.get("/v1/jobs/\(lone)/why").body.contains("no-worker")
                    }
                    _ = try await intake.post("/v1/queues/default/resume", "")
                    try await intake.expectCause("running", of: lone)
                    _ = try await intake.post("/v1/jobs/\(lone)/cancel", "")
                    try await intake.expectCause("finished", of: lone)

                    // Somebody else's lock, on a quorum.
                    let nodes = system.stack.nodes
                    try await system.redis(nodes[0], "SET", "locks:f", "x")
                    try await system.redis(nodes[1], "SET", "locks:f", "x", "PX", "600000")
                    let foreign = try await intake.submit("f", "v")
                    #expect(try await intake.expectCause("foreign-holder", of: foreign).contains("since"))
                    let held = try await intake.expectCause("held-on-nodes", of: foreign)
                    #expect(held.contains("(without end)") && held.contains(#""leftMs":5"#))
                    #expect(!held.contains(":\(nodes[2].port) "))

                    try await system.execute(
                        """
                        update holdfast.key_lines set held_by = null, waiting_since = null,
                            turn = null, due_at = clock_timestamp() + interval '1 hour' where lock_key = 'f'
                        """,
                        """
                        update holdfast.jobs set attempt = 1, last_error = 'it broke' where lock_key = 'f'
                        """
                    )
                    #expect(try await intake.expectCause("backoff", of: foreign).contains("it broke"))
                    for node in nodes.prefix(2) { await node.stop() }
                    let waiting = try await intake.submit("q", "v")
                    #expect(try await intake.expectCause("no-quorum", of: waiting).contains("not connected"))
                    #expect(try await intake.get("/v1/nodes").body.contains(#""voting":1"#))
                }
            }
        }
    }

    @Test func `why says what lasts for a moment only`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                // Nobody leads, so that nobody lets it join its line.
                let soon = try await system.texts(
                    "select holdfast.rfc3339(clock_timestamp() + interval '300 ms')"
                )[0]
                let due = try await intake.post("/v1/jobs", #"{"key":"due","value":"v","runAt":"\#(soon)"}"#)
                try await intake.expectCause("joining", of: try #require(due.job))

                // A worker that is there and does nothing.
                try await system.execute(
                    """
                    insert into holdfast.workers (id, name, queues, kinds, slots, beat_at)
                    values (77, 'idler', '{default}', '{lockAndSet}', 1, clock_timestamp() + interval '1 hour')
                    """
                )
                let job = try await intake.submit("k", "v")
                try await intake.expectCause("ready", of: job)
                try await system.execute(
                    """
                    update holdfast.key_lines set turn = null, due_at = clock_timestamp() + interval '1 hour'
                    where lock_key = 'k'
                    """
                )
                #expect(try await intake.expectCause("snoozed", of: job).contains(#""until":"#))
                try await system.execute(
                    """
                    update holdfast.key_lines set held_by = 77, fence = 1, claimed_at = clock_timestamp()
                    where lock_key = 'k'
                    """
                )
                #expect(try await intake.expectCause("claimed", of: job).contains("worker 77 has claimed it"))
                try await system.execute(
                    "update holdfast.jobs set cancel_requested_at = clock_timestamp() where lock_key = 'k'"
                )
                try await intake.expectCause("cancel-requested", of: job)
                #expect(try await intake.get("/v1/jobs/999/why").status == 404)
            }
        }
    }
}

extension IntakeProcess {
    /// Asks until a job has a cause.
    @discardableResult
    fileprivate func expectCause(_ cause: String, of job: Int64) async throws -> String {
        try await eventually("\(cause) is a cause of job \(job)") {
            let body = try await get("/v1/jobs/\(job)/why").body
            return body.contains(#""cause":"\#(cause)""#) ? body : nil
        }
    }
}

/// What a listener was sent.
private struct Listener {
    var ids: [Int64] = []
    var names: [String] = []
    var data: [String] = []

    /// Listens until an event of a name.
    static func collect(
        _ intake: IntakeProcess,
        _ query: String,
        after last: Int64? = nil,
        until name: String,
        _ whenConnected: () async throws -> Void
    ) async throws -> Listener {
        var request = HTTPClientRequest(url: "\(intake.base)/v1/events\(query)")
        if let last { request.headers.add(name: "Last-Event-ID", value: "\(last)") }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
        var listener = Listener()
        var text = ""
        var isConnected = false
        for try await piece in response.body {
            text += String(buffer: piece)
            if !isConnected {
                isConnected = true
                try await whenConnected()
            }
            while let end = text.range(of: "\n\n") {
                listener.take(text[..<end.lowerBound])
                text.removeSubrange(..<end.upperBound)
            }
            if listener.names.last == name { break }
        }
        return listener
    }

    private mutating func take(_ frame: Substring) {
        for line in frame.split(separator: "\n") {
            if line.hasPrefix("id: ") { ids.append(Int64(line.dropFirst(4)) ?? -1) }
            if line.hasPrefix("event: ") { names.append(String(line.dropFirst(7))) }
            if line.hasPrefix("data: ") { data.append(String(line.dropFirst(6))) }
        }
    }
}

extension TestSystem {
    fileprivate func execute(_ statements: String...) async throws {
        for sql in statements {
            _ = try await texts("with done as (\(sql) returning 1) select count(*)::text from done")
        }
    }

    fileprivate func redis(_ node: RedisServer, _ arguments: String...) async throws {
        let process = try LocalProcess(
            URL(fileURLWithPath: "/usr/bin/redis-cli"),
            ["-p", "\(node.port)"] + arguments,
            output: .nullDevice
        )
        await process.waitForExit()
    }
}
