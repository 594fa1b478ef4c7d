import Foundation
import Simulation
import Testing

/// Locks, holds and fences in virtual time.
@Suite(.timeLimit(.minutes(5)))
struct SimulationTests {
    @Test func `thousands of simulated bad days break no promise`() async throws {
        let seed = UInt64.random(in: 1...1_000_000_000)
        let (output, status) = try await FaultsProgram.run(["simulate", "--seed", "\(seed)", "--runs", "2000"])
        print(output)
        #expect(status == 0)
        #expect(output.contains("2000 runs"))
    }

    @Test func `a seed tells the same story each time, and another seed another one`() async {
        let (first, again, other) = await withCheckedContinuation { continuation in
            // A thread of its own: a simulation takes all the tasks that come up on its thread.
            Thread.detachNewThread {
                let digests = [7, 7, 8].map { Simulation.run(seed: $0).digest }
                continuation.resume(returning: (digests[0], digests[1], digests[2]))
            }
        }
        #expect(first == again)
        #expect(first != other)
    }

    #if DEBUG
        @Test func `bugs that are planted in the lock are caught within the stated number of seeds`() async throws {
            let (output, status) = try await FaultsProgram.run(["planted-bugs", "--simulated"])
            print(output)
            #expect(status == 0)
            for bug in [
                "quorum-of-half", "no-drift", "no-validity-check", "wall-clock", "release-without-token",
                "extend-without-token", "no-cancellation", "no-quarantine", "write-without-fence",
            ] {
                #expect(output.contains("`\(bug)`"))
            }
        }
    #endif
}
