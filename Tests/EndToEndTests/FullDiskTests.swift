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
                try await system.withWorker { worker in
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
                    try await eventually("its attempt is put off") {
                        worker.output.split(separator: "\n").contains {
                            $0.contains("Attempt put off") && $0.contains("job.key=late")
                        }
                    }
                    #expect(try await intake.get("/getValue/late").body == "null")
                    #expect(try await system.events(of: late) == [])

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
}
