import Foundation
import Holdfast
import LocalStack
import TestSupport
import Testing

/// The dashboard in a browser, against a stack with work going on.
///
/// It needs Debian's Chromium, and Python with selenium, which `deploy/test` installs into `.build/python`.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct DashboardTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Dashboard")

    @Test func `pages show what happens, do what they are told to, and take nothing for markup`() async throws {
        try await TestSystem.with { system in
            try await system.withWorkers(2) {
                try await system.withIntake { intake in try await Self.look(at: intake, by: "open_test") }
            }
        }
    }

    @Test func `where tokens are needed a page asks for one, and an order for its scope`() async throws {
        try await TestSystem.with { system in
            let submitter = try await system.makeToken("submitter", "submit,read")
            let reader = try await system.makeToken("reader", "read")
            let operator_ = try await system.makeToken("operator", "read,operate")
            try await system.withWorkers(1) {
                try await system.withIntake(["--require-tokens"]) { intake in
                    try await Self.look(
                        at: intake,
                        by: "token_test",
                        ["DASHBOARD_TOKEN": submitter, "READER": reader, "OPERATOR": operator_]
                    )
                }
            }
        }
    }

    @Test func `a rescue, a refusal and a node that is gone are seen`() async throws {
        try await TestSystem.with { system in
            try await system.withIntake { intake in
                try await system.withWorker("worker-frozen") { frozen in
                    let job = try await intake.submit("frozen", "v", durationMs: 1500, lockTTLMs: 2000)
                    try await eventually("the job runs") { try await system.events(of: job) == ["acquired"] }
                    frozen.process.signal(SIGSTOP)
                    try await system.withWorkers(1) {
                        let finished = try await system.outcome(of: job)
                        #expect(finished.attempt == 2)
                        frozen.process.signal(SIGCONT)
                        try await eventually("the stale settle is refused") {
                            try await system.events(of: job).contains("refused")
                        }
                        await system.stack.nodes[2].stop()
                        try await Self.look(at: intake, by: "fault_test", ["JOB": "\(job)"])
                    }
                }
            }
        }
    }

    /// Runs a script of tests in a browser.
    private static func look(at intake: IntakeProcess, by name: String, _ environment: [String: String] = [:])
        async throws
    {
        let script = folder.appending(path: "\(name).py").path
        let result = try await Tool.python("python", [script], environment.merging(["DASHBOARD": intake.base]) { $1 })
        #expect(result.status == 0, "\(result.output.suffix(8000))")
    }
}
