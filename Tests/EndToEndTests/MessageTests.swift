import Foundation
import LocalStack
import Testing

/// What HTTP/1.1 says of messages, byte by byte.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct MessageTests {
    private static let job = #"{"key":"k","value":"v"}"#
    /// What would be taken for a request of its own, if the one before it were shorter than its sender says.
    private static let smuggled = "GET /healthz?smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

    private static func post(_ fields: String, _ body: String) -> String {
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\(fields)\r\n\(body)"
    }

    /// Messages that two readers may take for different things, by what is wrong with them.
    private static let ambiguous: [(name: String, message: String)] = [
        ("a length and chunks", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled)),
        ("chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\n" + smuggled)),
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 56\r\n", smuggled)),
        ("two lengths in one field", post("Content-Length: 0, 56\r\n", smuggled)),
        ("a length with a sign", post("Content-Length: +5\r\n", job)),
        ("a length of letters", post("Content-Length: 0x17\r\n", job)),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + smuggled)),
        ("chunked before another coding", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n" + smuggled)),
        ("a folded field", post("X: a\r\n b\r\nContent-Length: 23\r\n", job)),
        ("a space before the colon", post("Content-Length : 23\r\n", job)),
        ("a NUL in a field", post("X: a\0b\r\nContent-Length: 23\r\n", job)),
        ("lines that end in LF alone", "GET /healthz HTTP/1.1\nHost: localhost\n\n"),
        ("a chunk without a size", post("Transfer-Encoding: chunked\r\n", "\r\n\r\n")),
        ("a chunk of a bad size", post("Transfer-Encoding: chunked\r\n", "zz\r\n\(job)\r\n0\r\n\r\n")),
        ("a bad chunk after a whole job", post("Transfer-Encoding: chunked\r\n", "17\r\n\(job)\r\nzz\r\n\r\n")),
        ("a chunk longer than its size", post("Transfer-Encoding: chunked\r\n", "4\r\n\(job)\r\n0\r\n\r\n")),
        ("no Host", "GET /healthz HTTP/1.1\r\n\r\n"),
        ("two Hosts", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
        ("a version that is none", "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n"),
    ]

    @Test func `a message that may be read in two ways is refused, and nothing behind it is read`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                for (name, message) in Self.ambiguous {
                    let connection = try RawConnection(intake.port)
                    try await connection.send(message)
                    let answer = try await connection.receiveToEnd()
                    #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(name): \(answer)")
                    #expect(answer.components(separatedBy: "HTTP/1.1 ").count == 2, "\(name): \(answer)")
                }
                #expect(try await system.count("select count(*) from holdfast.jobs") == 0)
            }
        }
    }

    @Test func `a connection is closed when its client says so, in whichever words`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                for message in [
                    "GET /healthz HTTP/1.0\r\n\r\n", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n",
                    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, CLOSE\r\n\r\n",
                    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + Self.smuggled,
                ] {
                    let connection = try RawConnection(intake.port)
                    try await connection.send(message)
                    let answer = try await connection.receiveToEnd()
                    #expect(answer.contains(" 200 OK") && answer.hasSuffix("ok\n"), "\(message): \(answer)")
                    #expect(answer.lowercased().contains("connection: close"), "\(message): \(answer)")
                    #expect(answer.components(separatedBy: " 200 OK").count == 2, "\(message): \(answer)")
                }
            }
        }
    }

    @Test func `a client that waits for leave to send its body is given it, unless it is refused`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let patient = try RawConnection(intake.port)
                try await patient.send(
                    Self.post("Content-Length: \(Self.job.utf8.count)\r\nExpect: 100-Continue\r\n", "")
                )
                let leave = try await patient.receive(until: "\r\n\r\n")
                #expect(leave.hasPrefix("HTTP/1.1 100 Continue\r\n"), "\(leave)")
                try await patient.send(Self.job)
                #expect(try await patient.receive(until: "}").hasPrefix("HTTP/1.1 202 "))
                // The connection goes on.
                try await patient.get("/healthz")

                let refused = try RawConnection(intake.port)
                let head =
                    "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                try await refused.send(head + "Expect: 100-continue\r\n\r\n")
                let answer = try await refused.receiveToEnd()
                #expect(answer.hasPrefix("HTTP/1.1 415 ") && answer.lowercased().contains("connection: close"))
            }
        }
    }

    @Test func `answers say what a browser and a proxy may make of them`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                for path in ["/healthz", "/v1/jobs", "//v1/jobs", "/getValue/k", "/nowhere", "/openapi.yaml", "/"] {
                    let answer = try await intake.get(path)
                    #expect(answer.headers["x-content-type-options"] == "nosniff", "\(path)")
                    #expect(answer.headers["cache-control"] != nil, "\(path)")
                    #expect(answer.headers["strict-transport-security"] == nil, "\(path)")
                }
                let listener = try RawConnection(intake.port)
                try await listener.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(try await listener.receive(until: "\n\n").lowercased().contains("x-accel-buffering: no\r\n"))
            }
        }
    }

    @Test func `queries and paths are decoded as they are written, and what cannot be is refused`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let answer = try await intake.post("/v1/jobs", #"{"key":"of two words","value":"v+w"}"#)
                #expect(answer.status == 202)
                for query in ["key=of+two+words", "key=of%20two%20words", "%6bey=of+two%20words"] {
                    #expect(
                        try await intake.get("/v1/jobs?\(query)").body.contains(#""key":"of two words""#),
                        "\(query)"
                    )
                }
                for path in [
                    "/v1/jobs?key=%ff", "/v1/jobs?key=%zz", "/v1/jobs?%ff=1", "/v1/locks?cursor=AA", "/v1/keys/%ff",
                    "/v1/locks?cursor=_w", "/v1/jobs?\(String(repeating: "a", count: 9000))=1",
                ] {
                    // A client of its own would encode what is badly encoded.
                    let connection = try RawConnection(intake.port)
                    try await connection.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    let refused = try await connection.receiveToEnd()
                    #expect(refused.hasPrefix("HTTP/1.1 400 ") && refused.utf8.count < 2500, "\(path): \(refused)")
                }
                for (field, name) in [("key", "."), ("key", ".."), ("queue", ".."), ("kind", ".")] {
                    let job = [#""key":"k""#, #""value":"v""#, #""\#(field)":"\#(name)""#].joined(separator: ",")
                    #expect(try await intake.post("/v1/jobs", "{\(job)}").status == 400, "\(field) \(name)")
                }
                #expect(!intake.program.output.contains("Request failed"))
            }
        }
    }
}
