import Foundation
import LocalStack
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct AccessTests {
    @Test func `on loopback anyone is let in until a token is made; then its scopes say what it is good for`()
        async throws
    {
        try await TestSystem.with { system in
            try await system.withIntake(["--log-level", "trace"]) { intake in
                #expect(try await intake.post("/v1/jobs", #"{"key":"k","value":"v"}"#).status == 202)
                let submits = try await system.makeToken("shop", "submit")
                try await eventually("tokens are asked for") { try await intake.get("/v1/jobs/1").status == 401 }
                let none = try await intake.get("/v1/jobs/1")
                #expect(none.headers["www-authenticate"] == #"Bearer realm="holdfast""#)
                #expect(none.body.contains("a token is needed"))
                let submit = try await intake.post("/v1/jobs", #"{"key":"k","value":"v"}"#, token: submits)
                #expect(submit.status == 202)
                let read = try await intake.get("/v1/jobs/1", token: submits)
                #expect(read.status == 403)
                #expect(read.body.contains("has not the scope read"))
                #expect(read.headers["www-authenticate"]?.contains(#"scope="read""#) == true)
                for wrong in [submits.dropLast(2) + "AA", "hft_999_\(String(repeating: "A", count: 43))", "x", ""] {
                    let answer = try await intake.post("/v1/jobs", "{}", token: String(wrong))
                    #expect(answer.status == 401)
                    #expect(answer.headers["www-authenticate"]?.contains("invalid_token") == true)
                }
                #expect(try await intake.get("/healthz").status == 200)
                #expect(try await intake.get("/readyz").status == 200)
                let list = try await Program.run(["tokens", "list", "--json"], environment: system.environment)
                #expect(list.contains(#""name":"shop""#) && !list.contains(submits))
                try await Program.run(["tokens", "revoke", "shop"], environment: system.environment)
                try await eventually("the token is good for nothing") {
                    try await intake.post("/v1/jobs", "{}", token: submits).status == 401
                }
                let secret = String(submits.suffix(43))
                #expect(intake.program.output.contains("Intake listens"))
                #expect(!intake.program.output.contains(secret), "the log has a secret")
                #expect(
                    try await system.count("select count(*) from holdfast.tokens where hash::text like '%\(secret)%'")
                        == 0
                )
            }
        }
    }

    @Test func `while anyone is let in, another site's page is not, whatever it asks for`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let job = #"{"key":"k","value":"v"}"#
                // As a form or a script without leave can send it.
                let foreign = [
                    "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain",
                ]
                for (path, body) in [
                    ("/v1/jobs", job), ("/v1/jobs/batch", "[\(job)]"), ("/lockAndSetValue", job), ("/setValue", job),
                    ("/v1/queues/default/pause", ""), ("/v1/jobs/1/cancel", ""),
                ] {
                    let answer = try await intake.post(path, body, foreign)
                    #expect(answer.status == 403, "\(path)")
                    #expect(answer.headers["content-type"] == "application/problem+json", "\(path)")
                    #expect(answer.body.contains("the page of another site"), "\(path)")
                }
                #expect(try await system.count("select count(*) from holdfast.jobs") == 0)
                #expect(try await system.count("select count(*) from holdfast.queues") == 0)
                #expect(try await intake.get("/getValue/k").body == "null")
                let own = ["Origin": intake.base, "Sec-Fetch-Site": "same-origin"]
                #expect(try await intake.post("/v1/jobs", job, own).status == 202)

                // A name of somebody else's, led to this machine.
                let rebound = try RawConnection(intake.port)
                let host = "evil.example:\(intake.port)"
                try await rebound.send("GET /v1/jobs/1 HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                let refused = try await rebound.receiveToEnd()
                #expect(refused.contains("403 Forbidden") && refused.contains("evil.example"))
                #expect(!refused.contains(#""key""#))

                // A token is sent by nobody but who has it.
                let token = try await system.makeToken("any", "submit,read,operate")
                try await eventually("tokens are asked for") { try await intake.get("/v1/jobs/1").status == 401 }
                let json = foreign.merging(["Content-Type": "application/json"]) { $1 }
                #expect(try await intake.post("/v1/jobs", job, json, token: token).status == 202)
                #expect(try await intake.post("/v1/jobs", job, json).status == 401)
            }
        }
    }

    @Test func `the body of a refused request is not read off`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("reader", "read")
            try await system.withIntake(["--body-seconds", "600"]) { intake in
                try await eventually("it is good") { try await intake.get("/v1/jobs/1", token: token).status == 404 }
                for (header, status) in [("", "401"), ("Authorization: Bearer \(token)\r\n", "403")] {
                    let connection = try RawConnection(intake.port)
                    let length = "Content-Length: 999999999999\r\n\r\n{"
                    let head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\(header)\(length)"
                    try await connection.send(head)
                    let answer = try await connection.receiveToEnd().lowercased()
                    #expect(answer.contains("http/1.1 \(status)") && answer.contains("connection: close"))
                }
            }
        }
    }

    @Test func `each token has idempotency keys of its own`() async throws {
        try await TestSystem.with { system in
            let tokens = [try await system.makeToken("one", "submit"), try await system.makeToken("other", "submit")]
            try await system.withIntake { intake in
                var jobs: [Int64?] = []
                for (number, token) in tokens.enumerated() {
                    let headers = ["Idempotency-Key": "order-1", "Authorization": "Bearer \(token)"]
                    try await eventually("it is good") {
                        try await intake.post("/v1/jobs", #"{"key":"k","value":"\#(number)"}"#, headers).status == 202
                    }
                    let again = try await intake.post("/v1/jobs", #"{"key":"k","value":"\#(number)"}"#, headers)
                    jobs.append(again.job)
                    let used = try await intake.post("/v1/jobs", #"{"key":"k","value":"x"}"#, headers)
                    #expect(used.status == 422 && used.body.contains("idempotency key order-1 has been used for job"))
                    let line = #"{"key":"k","value":"\#(number)","idempotencyKey":"order-1"}"#
                    let batch = try await intake.post("/v1/jobs/batch", "[\(line)]", token: token)
                    #expect(batch.status == 202, "\(batch.body)")
                }
                #expect(Set(jobs).count == 2)
                #expect(try await system.count("select count(*) from holdfast.jobs") == 2)
            }
        }
    }

    @Test func `a token that has expired is not good`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("short", "submit,read", arguments: ["--expires-days", "1"])
            try await system.withIntake { intake in
                try await eventually("it is good") { try await intake.get("/v1/jobs/1", token: token).status == 404 }
                _ = try await system.texts("update holdfast.tokens set expires_at = clock_timestamp() returning name")
                try await eventually("it is not") { try await intake.get("/v1/jobs/1", token: token).status == 401 }
            }
        }
    }

    @Test func `known tokens are good while the database is away`() async throws {
        try await TestSystem.with { system in
            let token = try await system.makeToken("reader", "read")
            try await system.withIntake { intake in
                try await eventually("it is good") { try await intake.get("/getValue/k", token: token).status == 200 }
                await system.stack.postgres.stop()
                try await eventually("the intake has noticed") { intake.program.output.contains("Tokens not read") }
                #expect(try await intake.get("/getValue/k", token: token).status == 200)
                #expect(try await intake.get("/getValue/k").status == 401)
                try await system.stack.postgres.start()
            }
        }
    }

    @Test func `elsewhere than on loopback a token is needed from the start`() async throws {
        try await TestSystem.with { system in
            let serve = ["serve", "--host", "0.0.0.0", "--port", "0"]
            let refused = try await Program.run(serve, environment: system.environment, status: 78)
            #expect(refused.contains("holdfast tokens create") && refused.contains("--insecure"))
            try await system.withIntake(["--host", "0.0.0.0", "--insecure"]) { intake in
                let answer = try await intake.get("/v1/jobs/1")
                #expect(answer.status == 404)
                #expect(intake.program.output.contains("Anyone who reaches this address is let in"))
            }
            let token = try await system.makeToken("reader", "read")
            try await system.withIntake(["--host", "0.0.0.0"]) { intake in
                try await eventually("tokens are known") {
                    try await intake.get("/v1/jobs/1", token: token).status == 404
                }
                #expect(try await intake.get("/v1/jobs/1").status == 401)
            }
        }
    }
}
