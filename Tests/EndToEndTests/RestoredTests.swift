import Foundation
import Holdfast
import LocalStack
import Postgres
import TestSupport
import Testing

/// A database that was restored: from an older backup, or without its roles.
@Suite(.timeLimit(.minutes(3)))
struct RestoredTests {
    @Test func `a value node that is ahead of the database costs no attempt, is told, and repaired`() async throws {
        try await TestSystem.with { system in
            try await system.withWorker { worker in
                for number in 0..<5 {
                    let job = try await submit("k", "\(number)", system)
                    _ = try await system.outcome(of: job)
                }
                _ = try await system.texts("select setval('holdfast.fence', 1, false)::text")
                let job = try await submit("k", "after", system)
                try await eventually("the worker says so") {
                    worker.output.contains("restored from an older backup; run holdfast doctor --repair")
                }
                #expect(try await system.count("select max(attempt) from holdfast.jobs where id = \(job)") == 0)
                let found = try await Program.run(["doctor"], environment: system.environment, status: 1)
                #expect(
                    found.contains("fences behind the value node: key k, its value was written with fence"),
                    "\(found)"
                )
                let unseen = try await Program.run(
                    ["doctor"],
                    environment: ["HOLDFAST_DATABASE_URL": system.stack.databaseURL],
                    status: 1
                )
                // Without the node, the history shows it all the same.
                #expect(unseen.contains("sequence behind its table"), "\(unseen)")
                _ = try await Program.run(["doctor", "--repair"], environment: system.environment)
                let outcome = try await system.outcome(of: job)
                #expect(outcome.state == .succeeded && outcome.attempt == 1)
            }
        }
    }

    @Test func `roles and grants that a backup does not have are told, and made again`() async throws {
        try await TestSystem.with { system in
            for role in ["holdfast_intake", "holdfast_worker", "holdfast_auditor"] {
                try await system.pool.withConnection { connection in
                    try await connection.executeScript("drop owned by \(role); drop role \(role)")
                }
            }
            let found = try await Program.run(["doctor"], environment: system.environment, status: 1)
            #expect(found.contains("role is missing: holdfast_worker"), "\(found)")
            _ = try await Program.run(["doctor", "--repair"], environment: system.environment)
            _ = try await system.texts("alter role holdfast_worker login")
            let job = try await submit("k", "v", system)
            let outcome = try await system.withWorker { _ in try await system.outcome(of: job) }
            #expect(outcome.state == .succeeded)
        }
    }

    @Test(arguments: ["serve", "work"])
    func `a user without rights ends the program, with what to do`(command: String) async throws {
        try await TestSystem.with { system in
            try await system.pool.withConnection { try await $0.executeScript("create role nobody_here login") }
            let output = try await Program.run(
                [command],
                environment: system.environment(for: "nobody_here"),
                status: 78
            )
            #expect(output.contains("holdfast migrate, as the schema's owner, makes the roles"), "\(output)")
        }
    }

    private func submit(_ key: String, _ value: String, _ system: TestSystem) async throws -> Int64 {
        Int64(try await system.count("select holdfast.submit('\(key)', '\(value)', duration_ms => 0)"))
    }
}
