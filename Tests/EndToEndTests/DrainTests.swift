import Foundation
import LocalStack
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct DrainTests {
    @Test func `an intake that is told to stop says so, finishes what runs, and closes its connections`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--drain-delay-seconds", "3"]) { intake in
                let running = try RawConnection(intake.port)
                try await running.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\n")
                let kept = try RawConnection(intake.port)
                try await kept.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(try await kept.receive(until: "ok\n").contains("200 OK"))
                intake.program.process.signal(SIGTERM)
                try await eventually("it is not ready") { try await intake.get("/readyz").status == 503 }
                #expect(try await intake.get("/readyz").body.contains("shutting down"))
                // Served still, and told to go.
                try await kept.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let last = try await kept.receiveToEnd()
                #expect(last.contains("200 OK") && last.lowercased().contains("connection: close"))
                try await running.send(#"{"key":"k","value":"v"}"#)
                let answer = try await running.receiveToEnd()
                #expect(answer.contains("202 Accepted") && answer.lowercased().contains("connection: close"))
                await intake.program.process.waitForExit()
                #expect(intake.program.process.exitStatus == 0)
                #expect(try await system.count("select count(*) from holdfast.jobs") == 1)
            }
        }
    }

    @Test func `a client that never ends its request cannot keep a draining intake`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--drain-seconds", "1"]) { intake in
                let slow = try RawConnection(intake.port)
                try await slow.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\n\r\n{")
                let idle = try RawConnection(intake.port)
                try await idle.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                _ = try await idle.receive(until: "ok\n")
                intake.program.process.signal(SIGTERM)
                #expect(try await idle.receiveToEnd().isEmpty)
                await intake.program.process.waitForExit()
                #expect(try await system.count("select count(*) from holdfast.jobs") == 0)
            }
        }
    }

    @Test func `listeners and those who wait for a job are let go in order`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let job = try await intake.submit("k", "v")
                let waiting = try RawConnection(intake.port)
                try await waiting.send("GET /v1/jobs/\(job)?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let listening = try RawConnection(intake.port)
                try await listening.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                _ = try await listening.receive(until: "the events of the lock history")
                intake.program.process.signal(SIGTERM)
                let answer = try await waiting.receiveToEnd()
                #expect(answer.contains("200 OK") && answer.contains(#""state":"queued""#), "\(answer)")
                // The last chunk, and not a connection that breaks off.
                #expect(try await listening.receiveToEnd().hasSuffix("0\r\n\r\n"))
                await intake.program.process.waitForExit()
                #expect(intake.program.process.exitStatus == 0)
            }
        }
    }
}
