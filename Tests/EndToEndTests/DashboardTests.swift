import Foundation
import Holdfast
import LocalStack
import TestSupport
import Testing

/// The dashboard in a browser, against a stack with work going on.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct DashboardTests {
    @Test func `pages show what happens, do what they are told to, and take nothing for markup`() async throws {
        try await TestSystem.with { system in
            try await system.withWorkers(2) {
                try await system.withIntake { intake in try await Dashboard.look(at: intake.base, by: "open_test") }
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
                    try await Dashboard.look(
                        at: intake.base,
                        by: "token_test",
                        nil,
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
                        try await Dashboard.look(at: intake.base, by: "fault_test", nil, ["JOB": "\(job)"])
                    }
                }
            }
        }
    }
}
