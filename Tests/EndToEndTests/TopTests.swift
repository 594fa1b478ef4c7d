import Foundation
import LocalStack
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(4)))
struct TopTests {
    private static let holdfast = Program.executable.path

    @Test func `top shows what happens, and leaves the terminal as it was`() async throws {
        try await TestSystem.with { system in
            try await Terminal.with(system.environment) { terminal in
                try await terminal.enter("stty -a > before; echo untouched")
                try await terminal.shows("untouched")
                try await terminal.enter("\(Self.holdfast) top")
                try await terminal.shows("NO WORKER IS ALIVE")
                try await system.withWorker("watched") { _ in
                    try await terminal.shows(" watched ")
                    try await system.withIntake { intake in
                        let job = try await intake.submit("seen", "v", durationMs: 600_000)
                        let screen = try await terminal.shows("seen ")
                        #expect(screen.contains("HELD KEY") && screen.contains(" \(job) "))
                        #expect(screen.contains(" votes ") && screen.contains("in "))
                        _ = try await Program.run(["jobs", "cancel", "\(job)"], environment: system.environment)
                        try await eventually("the hold is gone") {
                            try await !terminal.screen().contains("seen ")
                        }
                    }
                }
                await system.stack.postgres.stop()
                try await terminal.shows("cannot connect")
                try await system.stack.postgres.start()
                try await terminal.shows("NO WORKER IS ALIVE")
                try await terminal.press("q")
                try await Self.checkRestored(terminal)
                try await terminal.enter("\(Self.holdfast) top")
                try await terminal.shows("NO WORKER IS ALIVE")
                try await terminal.press("C-c")
                try await Self.checkRestored(terminal)
            }
        }
    }

    /// The screen of before is back, the shell answers, and the terminal's settings are what they were.
    private static func checkRestored(_ terminal: Terminal) async throws {
        try await terminal.shows("untouched")
        // Spelt so that it is not the line that was typed.
        try await terminal.enter("clear; stty -a | cmp - before && echo the sa''me")
        let screen = try await terminal.shows("the same")
        #expect(!screen.contains("QUEUE"))
        try await terminal.enter("clear; echo untouched")
    }

    @Test func `submission and waiting have a bar where there is a terminal`() async throws {
        try await TestSystem.with { system in
            let path = TestServers.makeFolder("jobs") + ".ndjson"
            let jobs = (1...20_000).map { #"{"key":"k\#($0)","value":"v","durationMs":0}"# }
            try jobs.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
            try await Terminal.with(system.environment) { terminal in
                try await terminal.enter("clear; \(Self.holdfast) jobs submit --file \(path); echo status $?")
                let submitted = try await terminal.shows("status 0")
                #expect(submitted.contains("█") && submitted.contains(" 100 %  20,000 jobs"))
                #expect(submitted.contains("20000 jobs are stored."))
                try await terminal.enter("clear; \(Self.holdfast) jobs wait --all --timeout 1; echo status $?")
                let waited = try await terminal.shows("status 2")
                #expect(waited.contains("░") && waited.contains("0 jobs finished"))
                #expect(waited.contains("20000 unfinished"))
            }
        }
    }
}
