import Foundation
import Holdfast
import NIOHTTP1
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct JobRoutesTests {
    @Test func `every field is stored, every bad one is named, and a repeated key is one job`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let full = #"""
                    {"key":"full","value":"v","kind":"k","queue":"q","priority":1,"runAt":"2100-01-01T00:00:00Z",
                     "maxAttempts":3,"lockTtlMs":5000,"durationMs":7,"timeoutMs":9,"metadata":{"a":[1,"ä"]}}
                    """#
                let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                let stored = try await intake.post("/v1/jobs", full, ["traceparent": traceparent])
                #expect(stored.status == 202)
                for part in [
                    #""state":"scheduled""#, #""timeoutMs":9"#, #""metadata":{"a":[1,"ä"]}"#, traceparent,
                    #""runAt":"2100-01-01T00:00:00.000000Z""#, #""maxAttempts":3"#,
                ] { #expect(stored.body.contains(part), "\(part)") }

                let bad = try await intake.post(
                    "/v1/jobs",
                    #"{"value":7,"priority":10,"metadata":{"a":"\u0000"},"color":1,"runAt":"soon"}"#
                )
                #expect(bad.status == 400)
                for field in ["key", "value", "priority", "metadata", "color", "runAt"] {
                    #expect(bad.body.contains(#""pointer":"/\#(field)""#), "\(field): \(bad.body)")
                }

                let jobs = try await withThrowingTaskGroup(of: IntakeProcess.Answer.self) { group in
                    for _ in 0..<200 {
                        group.addTask {
                            try await intake.post(
                                "/v1/jobs",
                                #"{"key":"once","value":"v"}"#,
                                ["idempotency-key": #""abc-1""#]
                            )
                        }
                    }
                    var answers: [IntakeProcess.Answer] = []
                    for try await answer in group { answers.append(answer) }
                    return answers
                }
                #expect(jobs.allSatisfy { $0.status == 202 })
                #expect(Set(jobs.map(\.body)).count == 1)
                #expect(Set(jobs.compactMap(\.job)).count == 1)
                #expect(try await system.count("select count(*) from holdfast.jobs where lock_key = 'once'") == 1)
                let other = try await intake.post(
                    "/v1/jobs",
                    #"{"key":"once","value":"other"}"#,
                    ["idempotency-key": "abc-1"]
                )
                #expect(other.status == 422 && other.body.contains("urn:holdfast:problem:idempotency-key-used"))
            }
        }
    }

    @Test func `a batch is taken whole or not at all, and its bad line is named`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let lines = (1...10_000).map { #"{"key":"k\#($0 % 100)","value":"\#($0)"}"# }
                var broken = lines
                broken[9_998] = #"{"key":"","value":"v"}"#
                let refused = try await intake.post("/v1/jobs/batch", broken.joined(separator: "\n"), .ndjson)
                #expect(refused.status == 400)
                #expect(refused.body.contains("line 9999"), "\(refused.body)")
                #expect(refused.body.contains(#""pointer":"/9998/key""#), "\(refused.body)")
                #expect(try await system.count("select count(*) from holdfast.jobs") == 0)

                let taken = try await intake.post("/v1/jobs/batch", lines.joined(separator: "\n") + "\n", .ndjson)
                #expect(taken.status == 202, "\(taken.body.prefix(300))")
                #expect(taken.body.hasPrefix(#"{"count":10000,"ids":["#))
                #expect(try await system.count("select count(*) from holdfast.jobs") == 10_000)

                let more = try await intake.post(
                    "/v1/jobs/batch",
                    (lines + ["{}"]).joined(separator: "\n"),
                    .ndjson
                )
                #expect(more.status == 400)
                let array = try await intake.post(
                    "/v1/jobs/batch",
                    #" [ {"key":"[]{},\"","value":"a,b","idempotencyKey":"one"} , {"key":"y","value":"]"} ] "#
                )
                #expect(array.status == 202, "\(array.body)")
                let pointed = try await intake.post("/v1/jobs/batch", #"[{"key":"x","value":"v"},{"key":"y"},3]"#)
                #expect(pointed.status == 400 && pointed.body.contains(#""pointer":"/1/value""#))
                #expect(pointed.body.contains(#""pointer":"/2""#))
                let reused = try await intake.post(
                    "/v1/jobs/batch",
                    #"[{"key":"new","value":"v"},{"key":"x","value":"v","idempotencyKey":"one"}]"#
                )
                #expect(reused.status == 422)
                #expect(try await system.count("select count(*) from holdfast.jobs where lock_key = 'new'") == 0)
                for body in ["[", "[]", "{}", #"[{"key":"x","value":"v"},]"#, #"[{"key":"x","value":"v"}] x"#] {
                    #expect(try await intake.post("/v1/jobs/batch", body).status == 400, "\(body)")
                }
            }
        }
    }

    @Test func `an answer waits for the job, lists go page by page, and orders are carried out`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let later = try await intake.submit("list", "0")
                for number in 1..<5 { _ = try await intake.submit("list", "\(number)") }
                #expect(try await intake.get("/v1/jobs/\(later)?wait=1").body.contains(#""state":"queued""#))
                let page = try await intake.get("/v1/jobs?key=list&state=queued&fields=key,value&limit=3")
                #expect(page.body.components(separatedBy: #""value":"#).count == 4)
                let next = try #require(page.body.firstMatch(of: /"next":"([^"]+)"/)?.1)
                #expect(!page.body.contains(#""state":"#) && page.body.contains(#""id":"#))
                let short = try await intake.get("/v1/jobs?key=list").body
                #expect(short.contains(#""state":"queued""#) && !short.contains(#""value":"#))
                #expect(try await intake.get("/v1/jobs?fields=key,values").status == 400)
                let rest = try await intake.get("/v1/jobs?key=list&fields=value&limit=3&cursor=\(next)")
                #expect(rest.body.contains(#""value":"1""#) && rest.body.contains(#""value":"0""#))
                #expect(!rest.body.contains("next") && !rest.body.contains(#""value":"2""#))

                let changed = try await intake.send(.PATCH, "/v1/jobs/\(later)", #"{"priority":0}"#)
                #expect(changed.status == 200 && changed.body.contains(#""priority":0"#))
                #expect(try await intake.post("/v1/jobs/\(later)/retry", "").status == 409)
                #expect(try await intake.post("/v1/jobs/99999/cancel", "").status == 404)
                let cancelled = try await intake.post("/v1/jobs/\(later)/cancel", "")
                #expect(cancelled.status == 200 && cancelled.body.contains(#""state":"cancelled""#))
                let again = try await intake.post("/v1/jobs/\(later)/retry", "")
                #expect(again.body.contains(#""state":"queued""#), "\(again.body)")
                #expect(try await intake.get("/v1/keys/list").body.contains(#""length":5"#))

                try await system.withWorker { _ in
                    let done = try await intake.get("/v1/jobs/\(later)?wait=60")
                    #expect(done.body.contains(#""state":"succeeded""#), "\(done.body)")
                    let tag = try #require(done.headers["etag"])
                    let same = try await intake.send(.GET, "/v1/jobs/\(later)", nil, ["if-none-match": tag])
                    #expect(same.status == 304 && same.body.isEmpty)
                    let timeline = try await intake.get("/v1/jobs/\(later)/timeline").body
                    #expect(
                        timeline.contains(#""event":"acquired""#) && timeline.contains(#""outcome":"succeeded""#),
                        "\(timeline)"
                    )
                    let key = try await intake.get("/v1/keys/list").body
                    #expect(key.contains(#""value":"0""#) && key.contains("highestFence"))
                    #expect(try await intake.get("/v1/keys/list/history?limit=1").body.contains(#""next":"#))
                    let running = try await intake.submit("held", "v", durationMs: 60_000)
                    try await eventually("its hold is shown") {
                        try await intake.get("/v1/locks").body.contains(#""job":\#(running)"#)
                    }
                    #expect(try await intake.get("/v1/workers").body.contains("lockAndSet"))
                    let nodes = try await intake.get("/v1/nodes").body
                    #expect(nodes.contains(#""quorum":2"#) && nodes.contains("roundTripUs"))
                    #expect(try await intake.post("/v1/jobs/\(running)/cancel", "").status == 200)
                    #expect(try await intake.get("/v1/jobs/\(running)?wait=60").body.contains(#""state":"cancelled""#))
                }
            }
        }
    }

    @Test func `a page ends after so many bytes, and the next begins where it ended`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let submit = """
                    select holdfast.submit(key => 'long', value => repeat('v', 1048576))::text from generate_series(1, 7)
                    """
                let jobs = try await system.texts(submit).compactMap { Int64($0) }
                var found: [Int64] = []
                var cursor = ""
                while true {
                    let path = "/v1/jobs?fields=value&limit=100\(cursor)"
                    let page = try await intake.get(path, upTo: 8 << 20).body
                    found += page.matches(of: /"id":(\d+)/).compactMap { Int64($0.1) }
                    #expect(page.utf8.count < 6 << 20)
                    guard let next = page.firstMatch(of: /"next":"([^"]+)"/)?.1 else { break }
                    cursor = "&cursor=\(next)"
                }
                #expect(found == jobs.reversed())
                #expect(try await intake.get("/v1/jobs?limit=100").body.utf8.count < 4000)
            }
        }
    }

    @Test func `gzip is taken and bounded; methods, types and tags are answered`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                // {"key":"packed/key","value":"packed"}, packed.
                let packed = Data(
                    base64Encoded: "H4sIAAAAAAACA6tWyk6tVLJSKkhMzk5N0QdxdJTKEnNKU+GCSrUAZKnZcyUA" + "AAA="
                )
                let taken = try await intake.send(
                    .POST,
                    "/v1/jobs",
                    bytes: [UInt8](try #require(packed)),
                    ["content-encoding": "gzip"]
                )
                #expect(taken.status == 202, "\(taken.body)")
                #expect(try await intake.get("/v1/keys/packed%2Fkey").body.contains(#""length":1"#))
                // As cat and pigz make it: one member after the other is what all of them say.
                let members =
                    try Gzip.pack(Array(#"{"key":"of two","#.utf8)) + Gzip.pack(Array(#""value":"members"}"#.utf8))
                let whole = try await intake.send(.POST, "/v1/jobs", bytes: members, ["content-encoding": "gzip"])
                #expect(whole.status == 202 && whole.body.contains(#""value":"members""#), "\(whole.body)")
                let cut = try await intake.send(
                    .POST,
                    "/v1/jobs",
                    bytes: Array(members.dropLast(1)),
                    ["content-encoding": "gzip"]
                )
                #expect(cut.status == 400)
                let bomb = try Gzip.pack([UInt8](repeating: 0x20, count: 20_000_000))
                let refused = try await intake.send(.POST, "/v1/jobs", bytes: bomb, ["content-encoding": "gzip"])
                #expect(bomb.count < 100_000 && refused.status == 413)
                #expect(
                    try await intake.post("/v1/jobs", "{}", ["content-encoding": "gzip"]).status == 400
                )
                #expect(try await intake.post("/v1/jobs", "{}", ["content-encoding": "br"]).status == 415)
                #expect(try await intake.post("/v1/jobs", "{}", ["content-type": "text/plain"]).status == 415)
                for (path, allow) in [
                    ("/v1/jobs", "GET, HEAD, OPTIONS, POST"), ("/v1/jobs/1", "GET, HEAD, OPTIONS, PATCH"),
                    ("/v1/jobs/1/cancel", "OPTIONS, POST"), ("/healthz", "GET, HEAD, OPTIONS"),
                ] {
                    let options = try await intake.send(.OPTIONS, path, nil)
                    #expect(options.status == 204 && options.headers["allow"] == allow, "\(path)")
                    let refused = try await intake.send(.DELETE, path, nil)
                    #expect(refused.status == 405 && refused.headers["allow"] == allow, "\(path)")
                    #expect(refused.body.contains("urn:holdfast:problem:method-not-allowed"))
                }
                #expect(try await intake.send(.HEAD, "/v1/jobs", nil).status == 200)
                #expect(try await intake.get("/v1/jobs").headers["cache-control"] == "no-store")
                #expect(try await intake.get("/openapi.yaml").body.hasPrefix("openapi: 3.1.0"))
            }
        }
    }
}

extension [String: String] {
    fileprivate static let ndjson = ["content-type": "application/x-ndjson"]
}
