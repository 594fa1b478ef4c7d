import Foundation
import LocalStack
import Postgres
import Testing

@Suite(.serialized, .timeLimit(.minutes(4)))
struct ConnectionLimitTests {
    @Test func `of 2,000 connections 1,900 are idle or slow, and the others are served`() async throws {
        try RawConnection.allow(2000)
        try await TestSystem.with { system in
            try await system.withIntake(["--head-seconds", "300", "--body-seconds", "300"]) { intake in
                let before = try intake.residentKilobytes()
                var quiet: [RawConnection] = []
                for number in 0..<1900 {
                    let connection = try RawConnection(intake.port)
                    switch number % 3 {
                    case 0: break
                    case 1: try await connection.send("POST /v1/jobs HT")
                    default:
                        let head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n"
                        try await connection.send(head + "{")
                    }
                    quiet.append(connection)
                }
                let busy = try (0..<100).map { _ in try RawConnection(intake.port) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (number, connection) in busy.enumerated() {
                        group.addTask {
                            for round in 0..<5 {
                                let body = #"{"key":"key-\#(number)","value":"\#(round)"}"#
                                try await connection.post("/v1/jobs", body)
                                #expect(try await connection.receive(until: "}").contains("202 Accepted"))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await system.count("select count(*) from holdfast.jobs") == 500)
                let after = try intake.residentKilobytes()
                print("2,000 connections: \(after / 1024) MiB resident, \((after - before) / 2000) KiB for each")
                // Debug or not, a connection must not cost what a thread would.
                #expect((after - before) / 2000 < 256)
                withExtendedLifetime(quiet) {}
            }
        }
    }

    @Test func `at the limit the connection that waited longest makes place, and one that is served does not`()
        async throws
    {
        try await TestSystem.with { system in
            try await system.withIntake(["--max-connections", "2"]) { intake in
                let first = try RawConnection(intake.port)
                try await first.get("/healthz")
                let second = try RawConnection(intake.port)
                try await second.get("/healthz")
                let third = try RawConnection(intake.port)
                try await third.get("/healthz")
                #expect(try await first.receiveToEnd().isEmpty)
                // Both that are left are being served: the database does not answer them.
                let locker = system.pool
                try await locker.withTransaction { connection in
                    try await connection.executeScript(
                        "set local idle_in_transaction_session_timeout = 0; lock table holdfast.jobs, holdfast.finished_jobs"
                    )
                    try await second.send("GET /v1/jobs/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    try await third.send("GET /v1/jobs/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                    try await eventually("both wait") { try await system.count(waiting) == 2 }
                    let fourth = try RawConnection(intake.port)
                    try await fourth.send("GET /v1/jobs/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    let refused = try await fourth.receiveToEnd()
                    #expect(refused.contains("503 ") && refused.contains("too many connections"))
                    #expect(refused.lowercased().contains("retry-after"))
                    // There is room left to ask how the intake does, once for each connection.
                    let probe = try RawConnection(intake.port)
                    try await probe.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    let alive = try await probe.receiveToEnd()
                    #expect(alive.contains("200 OK") && alive.lowercased().contains("connection: close"))
                    #expect(intake.program.output.contains("All connections are taken"))
                }
                #expect(try await second.receive(until: "}").contains("404"))
                #expect(try await third.receive(until: "}").contains("404"))
            }
        }
    }

    /// A request that is not taken, by its name.
    enum Refused: String, CaseIterable {
        case largeHead, manyFields, noHTTP, slowBody

        var request: String {
            switch self {
            case .largeHead: "GET / HTTP/1.1\r\nA: \(String(repeating: "a", count: 40_000))\r\n\r\n"
            case .manyFields: "GET / HTTP/1.1\r\n\(String(repeating: "a: b\r\n", count: 200))\r\n"
            case .noHTTP: "no HTTP at all\r\n\r\n"
            case .slowBody: "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
            }
        }

        var status: Int {
            switch self {
            case .largeHead, .manyFields: 431
            case .noHTTP: 400
            case .slowBody: 408
            }
        }
    }

    @Test(arguments: Refused.allCases)
    func `what is too much or too slow is answered, and its connection closed`(refused: Refused) async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--body-seconds", "1"]) { intake in
                let connection = try RawConnection(intake.port)
                try await connection.send(refused.request)
                let answer = try await connection.receiveToEnd()
                #expect(answer.hasPrefix("HTTP/1.1 \(refused.status) "), "\(answer)")
                #expect(!intake.program.output.contains("Request failed"))
            }
        }
    }

    @Test func `a connection whose head does not come, or whose next request does not, is closed`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--head-seconds", "1", "--idle-seconds", "1"]) { intake in
                let silent = try RawConnection(intake.port)
                let slow = try RawConnection(intake.port)
                try await slow.send("GET /healthz HT")
                let idle = try RawConnection(intake.port)
                try await idle.get("/healthz")
                for connection in [silent, slow, idle] { #expect(try await connection.receiveToEnd().isEmpty) }
            }
        }
    }

    @Test func `a worker's health port has the limits of an intake`() async throws {
        try await TestSystem.with { system in
            try await system.withMeasuredWorker { worker in
                let large = try RawConnection(worker.port)
                try await large.send("GET / HTTP/1.1\r\nA: \(String(repeating: "a", count: 40_000))\r\n\r\n")
                #expect(try await large.receiveToEnd().hasPrefix("HTTP/1.1 431 "))
                // Its body never ends, and nobody reads it.
                let endless = try RawConnection(worker.port)
                try await endless.send("GET /healthz HTTP/1.1\r\nHost: w\r\nContent-Length: 999999999\r\n\r\nx")
                #expect(try await endless.receiveToEnd().hasPrefix("HTTP/1.1 200 "))
                let idle = try (0..<64).map { _ in try RawConnection(worker.port) }
                for connection in idle { try await connection.get("/healthz") }
                let last = try RawConnection(worker.port)
                try await last.get("/healthz")
                #expect(try await idle[0].receiveToEnd().isEmpty)
                withExtendedLifetime(idle) {}
            }
        }
    }

    @Test func `a client that takes no answer is not waited for`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake(["--write-seconds", "1", "--idle-seconds", "600"]) { intake in
                let connection = try RawConnection(intake.port)
                let gets = [String](repeating: "GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 600)
                try await connection.send(gets.joined())
                // It has nothing read yet; the intake's end of the connection goes nevertheless.
                try await eventually("the connection is closed") { try intake.connectionCount() == 0 }
                let answers = try await connection.receiveToEnd().components(separatedBy: "200 OK").count - 1
                #expect(answers < 600)
                #expect(try await intake.get("/healthz").status == 200)
            }
        }
    }

    @Test func `pipelined requests are answered in order`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                let connection = try RawConnection(intake.port)
                let gets = (1...50).map { "GET /v1/jobs/\($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
                try await connection.send(gets.joined())
                var rest = try await connection.receive(until: "there is no job 50\"")[...]
                for number in 1...50 {
                    let found = try #require(rest.range(of: "there is no job \(number)\""))
                    rest = rest[found.upperBound...]
                }
            }
        }
    }
}
