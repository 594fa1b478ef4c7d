import Testing

/// Locks and workers in virtual time.
@Suite(.timeLimit(.minutes(5)))
struct SimulationTests {
    @Test func `thousands of simulated bad days break no promise`() async throws {
        let seed = UInt64.random(in: 1...1_000_000_000)
        let (output, status) = try await FaultsProgram.simulate(["simulate", "--seed", "\(seed)", "--runs", "1500"])
        print(output)
        #expect(status == 0)
        #expect(output.contains("1500 runs"))
        // The table has a row for each outcome that was reached.
        for outcome in [
            "acquired, shared", "passed", "outage", "lost", "overrun", "buried", "rescued", "settled in doubt",
        ] {
            #expect(output.contains("\n\(outcome)  "))
        }
    }

    @Test func `seeds tell the same story in each process, and other seeds another one`() async throws {
        var digests: [String] = []
        for seed in [7, 7, 8] {
            let output = try await FaultsProgram.simulate(["simulate", "--seed", "\(seed)", "--runs", "100"]).output
            digests.append(String(try #require(output.firstMatch(of: /digest ([0-9a-f]+)/)).1))
        }
        #expect(digests[0] == digests[1])
        #expect(digests[1] != digests[2])
    }

    #if DEBUG
        @Test func `bugs that are planted in the lock and in the worker are caught within the stated number of seeds`()
            async throws
        {
            let (output, status) = try await FaultsProgram.simulate(["planted-bugs", "--simulated"])
            print(output)
            #expect(status == 0)
            for bug in [
                "quorum-of-half", "no-drift", "no-validity-check", "wall-clock", "release-without-token",
                "extend-without-token", "no-cancellation", "no-quarantine", "write-without-fence",
                "settle-without-fence", "acquired-afterwards", "lost-wake-up", "shared-hold-unrecorded",
                "endless-slice",
                "turn-drawn-twice", "claims-out-of-order", "rescue-by-clock", "rescue-at-first-sight",
                "limit-from-acquisition", "outage-counted",
            ] {
                #expect(output.contains("`\(bug)`"))
            }
        }
    #endif
}
