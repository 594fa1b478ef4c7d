import Foundation
import LocalStack
import TestSupport
import Testing

/// Runs of `holdfast-bench` in the smallest sizes.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct BenchRunTests {
    @Test func `workloads print a line of JSON each, with their ceilings`() async throws {
        let run = try BenchProgram(["all", "--smallest", "--only", "hand-off,latency", "--json"])
        await run.process.waitForExit()
        #expect(run.process.exitStatus == 0, "\(run.output)")
        let figures = try run.figures
        #expect(figures.map { $0["workload"] as? String } == ["hand-off", "latency"], "\(run.output)")
        for figure in figures {
            for name in ["median", "min", "max", "ceiling", "ratio", "p99"] {
                #expect(try #require(figure[name] as? Double, "\(name) of \(figure)") > 0)
            }
            #expect(figure["runs"] as? Int == 1)
            #expect(figure["unit"] as? String == "ms, p50")
            #expect(figure["met"] is Bool)
        }
    }

    @Test(arguments: [
        (workload: "flooded", figures: ["flooded"], parts: ["accepted", "p99"]),
        ("while-others", ["while-others"], ["others"]),
        ("ready-among-waiting", ["ready-among-waiting 10000"], ["p50", "ceilingP50", "ceiling", "ratio"]),
        ("split", ["split over 1 process", "split over 4 processes"], ["rate"]),
    ])
    func `a workload prints what its help names beside each figure`(
        workload: String,
        figures: [String],
        parts: [String]
    ) async throws {
        let run = try BenchProgram(["all", "--smallest", "--only", workload, "--json"])
        await run.process.waitForExit()
        #expect(run.process.exitStatus == 0, "\(run.output)")
        let printed = try run.figures
        #expect(printed.map { $0["workload"] as? String } == figures, "\(run.output)")
        for figure in printed {
            #expect(figure["median"] is Double)
            for part in parts { #expect(try #require(figure[part] as? Double, "\(part) of \(figure)") > 0) }
        }
        #expect(printed.last?["met"] is Bool)
    }

    @Test func `a workload that fails is told of, and the others go on`() async throws {
        // Alone in a folder: no holdfast is beside it.
        let folder = TestServers.makeFolder("bench-alone")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let copy = URL(fileURLWithPath: folder).appending(path: "holdfast-bench")
        try FileManager.default.copyItem(at: BenchProgram.executable, to: copy)
        let run = try BenchProgram(["all", "--smallest", "--only", "start-up,hand-off"], executable: copy)
        await run.process.waitForExit()
        #expect(run.process.exitStatus == 1)
        #expect(run.output.contains("FAILED: there is no holdfast beside holdfast-bench"), "\(run.output)")
        #expect(run.output.contains("\nhand-off "), "\(run.output)")
        #expect(run.output.contains("failed: start-up"), "\(run.output)")
    }

    @Test(arguments: [(SIGINT, "1 of"), (SIGTERM, "2 of")])
    func `an interrupted run leaves no process and no folder behind`(
        signal: Int32,
        afterSaying text: String
    ) async throws {
        let folder = TestServers.makeFolder("bench")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let run = try BenchProgram(
            ["all", "--smallest", "--only", "drain,latency"],
            environment: ["TMPDIR": folder]
        )
        // Its server is there, at least.
        while !run.output.contains(text) || TestServers.processes(naming: folder).count < 2, run.process.isRunning {
            try await Task.sleep(for: .milliseconds(20))
        }
        run.process.signal(signal)
        #expect(await run.process.waitForExit(within: .seconds(120)))
        #expect(run.process.exitStatus == 130, "\(run.output)")
        // What an interrupted initdb had started ends by itself; what stays is stopped by the time limit.
        while !TestServers.processes(naming: folder).isEmpty { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    @Test(arguments: [
        ["all", "--only", "nothing"], ["drain", "--spread", "even"], ["bulk", "--connections", "5"],
        ["latency", "--jobs", "0"], ["scale", "--processes", "1,x"], ["flooded", "--seconds", "0"],
        ["while-others", "--depth", "0"], ["ready-among-waiting", "--waiting", "9"], ["split", "--slots", "6"],
    ])
    func `what is out of bounds is refused before anything is started`(arguments: [String]) async throws {
        let run = try BenchProgram(arguments)
        await run.process.waitForExit()
        #expect(run.process.exitStatus == 64)
        #expect(run.output.hasPrefix("Error: --"), "\(run.output)")
    }
}

/// A run of `holdfast-bench`, which the build puts beside the test bundle.
private struct BenchProgram {
    struct Failed: Error {}

    static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "holdfast-bench")

    let process: LocalProcess
    private let path: String

    init(_ arguments: [String], executable: URL = executable, environment: [String: String] = [:]) throws {
        let folder = TestServers.makeFolder("bench-output")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        path = "\(folder)/output"
        guard FileManager.default.createFile(atPath: path, contents: nil) else { throw Failed() }
        process = try LocalProcess(
            executable,
            arguments,
            environment: environment,
            output: FileHandle(forWritingAtPath: path),
            signalAtExit: SIGTERM
        )
    }

    /// What it has printed, to standard output and standard error.
    var output: String { String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self) }

    /// The objects that it has printed.
    var figures: [[String: Any]] {
        get throws {
            try output.split(separator: "\n").filter { $0.hasPrefix("{") }.map { line in
                try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
            }
        }
    }
}
