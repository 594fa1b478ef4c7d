import Foundation
import LocalStack
import TestSupport
import Testing

/// Short runs of `holdfast-faults`.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ShortRunTests {
    @Test func `a quarter of a minute of faults breaks no promise`() async throws {
        let (output, status) = try await FaultsProgram.run(["--minutes", "0.25"])
        print(output)
        #expect(status == 0)
        #expect(output.contains("checks passed"))
    }

    @Test func `a database that fails over, a full disk and a clock that steps break no promise`() async throws {
        let kinds = "failover,full-disk,clock-step"
        // A seed by which the first three are of all kinds.
        let (output, status) = try await FaultsProgram.run(["--minutes", "0.3", "--seed", "20", "--faults", kinds])
        print(output)
        #expect(status == 0)
        #expect(output.contains("checks passed"))
        #expect(output.contains("failover ") && output.contains("clock-step "))
        #expect(output.contains("full-disk "), "done, or said to be left out")
    }

    @Test(arguments: [(SIGINT, "jobs sent"), (SIGTERM, "jobs sent"), (SIGINT, "seed")])
    func `a run that is interrupted leaves no process, no disk and no folder behind`(
        signal: Int32,
        afterSaying text: String
    ) async throws {
        let folder = TestServers.makeFolder("interrupted")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let run = try FaultsProgram.start(
            ["--minutes", "5", "--faults", "failover,full-disk"],
            environment: ["TMPDIR": folder]
        )
        while !run.output.contains(text), run.process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        #expect(TestServers.processes(naming: folder).count > (text == "seed" ? 0 : 10), "\(run.output)")
        run.process.signal(signal)
        #expect(await run.process.waitForExit(within: .seconds(120)))
        #expect(run.process.exitStatus == 130)
        // What initdb had started when it was ended goes by itself.
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        while TestServers.processes(naming: folder) != [], ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(TestServers.processes(naming: folder) == [])
        #expect(try !String(contentsOfFile: "/proc/self/mounts", encoding: .utf8).contains(folder))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
}
