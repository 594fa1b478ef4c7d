import Foundation
import Holdfast
import LocalStack
import TestSupport
import Testing

/// The disk of the lock history is full.
@Suite(.timeLimit(.minutes(4)))
struct FullDiskTests {
    @Test func `no task starts that cannot be recorded, nothing is lost, and all goes on when there is room again`()
        async throws
    {
        try await TestSystem.with { system in
            guard let disk = try SmallDisk(at: "\(system.stack.folder)/disk", megabytes: 16) else {
                return print("Not tried: it takes root, and the right to mount, to make a small disk.")
            }
            try await system.stack.postgres.move("holdfast.lock_history", of: LocalStack.database, to: disk)
            try await system.withIntake { intake in
                try await system.withWorker(arguments: ["--slots", "2"]) { worker in
                    let first = try await intake.submit("first", "1")
                    #expect(try await system.outcome(of: first).state == .succeeded)
                    disk.fill()
                    // Until what is left in the last pages is used up.
                    var number = 0
                    try await eventually("an attempt is put off") {
                        number += 1
                        _ = try await intake.submit("filler-\(number)", String(repeating: "v", count: 100))
                        return worker.output.contains("Attempt put off")
                    }
                    let late = try await intake.submit("late", "1")
                    for filler in number + 1...number + 20 { _ = try await intake.submit("filler-\(filler)", "v") }
                    number += 20
                    // What was put off cannot be settled either; of such lines a worker keeps eight for each slot.
                    try await eventually("nothing more is claimed") { try await heldLines(system) >= 16 }
                    for _ in 1...2 { try await waitForHeartbeat(system) }
                    #expect(try await heldLines(system) == 16)

                    let recorded = Set(
                        try await system.texts("select lock_key from holdfast.lock_history where event = 'acquired'")
                    )
                    for key in ["late"] + (1...number).map({ "filler-\($0)" }) {
                        let isWritten = try await intake.get("/getValue/\(key)").body != "null"
                        #expect(isWritten == recorded.contains(key), "\(key)")
                    }
                    #expect(!recorded.contains("late"))

                    disk.free()
                    let job = try await system.outcome(of: late)
                    #expect(job.state == .succeeded)
                    #expect(job.attempt == 1, "what was put off is no attempt")
                    try await eventually("every job has finished") {
                        try await system.count("select count(*) from holdfast.jobs") == 0
                    }
                    let states = try await system.texts("select distinct state::text from holdfast.finished_jobs")
                    #expect(states == ["succeeded"])
                    try await Program.run(["audit", "verify"], environment: system.environment)
                }
            }
        }
    }

    private func heldLines(_ system: TestSystem) async throws -> Int {
        try await system.count("select count(*) from holdfast.key_lines where held_by is not null")
    }

    private func waitForHeartbeat(_ system: TestSystem) async throws {
        let last = try await system.texts("select max(beat)::text from holdfast.workers")
        try await eventually("the worker goes on") {
            try await system.texts("select max(beat)::text from holdfast.workers") != last
        }
    }
}
