import Foundation
import LocalStack
import NIOHTTP1
import Testing

/// Clients that take what they can get, and honest ones beside them.
@Suite(.serialized, .timeLimit(.minutes(6)))
struct HostileClientTests {
    private static func request(_ path: String, _ fields: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
    }

    @Test func `a client that has gone waits and listens no more`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let job = try await intake.post("/v1/jobs", #"{"key":"k","value":"v","runAt":"2100-01-01T00:00:00Z"}"#)
                let wait = Self.request("/v1/jobs/\(try #require(job.job))?wait=60")
                // The first that would be answered, if their time alone ended them.
                let staying = try RawConnection(intake.port)
                try await staying.send(wait)
                try await eventually("one waits") { try await intake.metric("holdfast_job_watchers") == 1 }
                var going = try (0..<50).map { _ in try RawConnection(intake.port) }
                for connection in going { try await connection.send(wait) }
                try await eventually("all wait") { try await intake.metric("holdfast_job_watchers") == 51 }
                going = []
                try await eventually("one waits") { try await intake.metric("holdfast_job_watchers") == 1 }

                going = try (0..<50).map { _ in try RawConnection(intake.port) }
                for connection in going { try await connection.send(Self.request("/v1/events")) }
                try await eventually("all listen") { try await intake.metric("holdfast_event_listeners") == 50 }
                going = []
                try await eventually("none listens") { try await intake.metric("holdfast_event_listeners") == 0 }
                withExtendedLifetime(staying) {}
            }
        }
    }

    @Test func `a stream ends when its token is revoked, and a token has no more waits than its share`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("reader", "read")
            let other = try await system.makeToken("other", "read,submit,metrics")
            try await system.withIntake(["--max-connections", "80"]) { intake in
                let job = try await intake.post(
                    "/v1/jobs",
                    #"{"key":"k","value":"v","runAt":"2100-01-01T00:00:00Z"}"#,
                    token: other
                )
                let path = "/v1/jobs/\(try #require(job.job))?wait=60"
                let authorization = "Authorization: Bearer \(token)\r\n"
                // A quarter of the half of 80.
                let waiting = try (0..<10).map { _ in try RawConnection(intake.port) }
                for connection in waiting { try await connection.send(Self.request(path, authorization)) }
                try await eventually("they wait") {
                    try await intake.metric("holdfast_job_watchers", token: other) == 10
                }
                let refused = try await intake.get(path, token: token)
                #expect(refused.status == 503 && refused.headers["retry-after"] != nil)
                let admitted = try RawConnection(intake.port)
                try await admitted.send(Self.request(path, "Authorization: Bearer \(other)\r\n"))
                try await eventually("another's is taken") {
                    try await intake.metric("holdfast_job_watchers", token: other) == 11
                }

                let stream = try RawConnection(intake.port)
                try await stream.send(Self.request("/v1/events", authorization))
                _ = try await stream.receive(until: "history\n\n")
                try await Program.run(["tokens", "revoke", "reader"], environment: system.environment)
                // The last chunk.
                _ = try await stream.receive(until: "0\r\n\r\n")
                withExtendedLifetime(waiting) {}
            }
        }
    }

    @Test func `whatever clients send, the intake stays small and others are served`() async throws {
        try RawConnection.allow(600)
        let stalled = try Gzip.pack([UInt8](#"{"key":"k","value":""#.utf8) + [UInt8](repeating: 0x61, count: 8_000_000))
        let fields = Array([[UInt8]](repeating: Array(#""":0,"#.utf8), count: 200_000).joined())
        let repeated = Array([[UInt8]](repeating: Array(#""":0,"key":0,"#.utf8), count: 120_000).joined())
        let numbers = Array([[UInt8]](repeating: Array("1e400,".utf8), count: 100_000).joined())
        let batch = try Gzip.pack(Array("[{".utf8) + fields + Array(#""":0}]"#.utf8))
        let nested = try Gzip.pack(
            Array(#"{"key":"k","value":"v","metadata":{"a":["#.utf8) + numbers + Array("0]}}".utf8)
        )
        try await TestSystem.with { system in
            try await system.withIntake(["--body-seconds", "300"]) { intake in
                var hostile: [RawConnection] = []
                for number in 0..<150 {
                    let connection = try RawConnection(intake.port)
                    hostile.append(connection)
                    switch number % 3 {
                    case 0:
                        // What has been packed in 8 KiB, and never ends.
                        let head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
                        try await connection.send(
                            bytes: Array("\(head)Content-Length: 100000\r\n\r\n".utf8) + stalled.dropLast(8)
                        )
                    case 1:
                        let head = "POST /v1/jobs/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
                        try await connection.send(head + #"[{"key":""# + String(repeating: "a", count: 50_000))
                    default:
                        try await connection.send(String(repeating: Self.request("/openapi.yaml"), count: 100))
                    }
                }
                let gzip = ["content-encoding": "gzip"]
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addTask {
                            // Each is refused: as more than it may be, or for want of room.
                            for (path, body) in [("/v1/jobs/batch", batch), ("/v1/jobs", nested)] {
                                let answer = try await intake.send(.POST, path, bytes: body, gzip)
                                #expect([400, 413, 503].contains(answer.status), "\(answer)")
                                #expect(answer.body.utf8.count < 2000)
                            }
                            let bytes = Array("{".utf8) + repeated + Array(#""":0}"#.utf8)
                            let answer = try await intake.post("/v1/jobs", bytes: bytes)
                            #expect([400, 413, 503].contains(answer.status), "\(answer)")
                        }
                    }
                    group.addTask {
                        for number in 0..<20 {
                            try await eventually("job \(number) is taken") {
                                let job = #"{"key":"honest-\#(number)","value":"v"}"#
                                return try await intake.post("/v1/jobs", job).status == 202
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await system.count("select count(distinct lock_key) from holdfast.jobs") == 20)
                let most = try intake.memory("VmHWM") / 1024
                print("150 hostile connections: \(most) MiB at the most")
                #expect(most < 512)
                // What they held is given back: no more is left than this very question holds.
                hostile = []
                try await eventually("nothing is held") {
                    try await intake.metric("holdfast_http_held_bytes") <= 2 * 2048
                }
            }
        }
    }
}

extension IntakeProcess {
    fileprivate func metric(_ name: String, token: String? = nil) async throws -> Double {
        let page = try await get("/metrics", token: token).body
        let line = page.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
        return line?.split(separator: " ").last.flatMap { Double($0) } ?? -1
    }
}
