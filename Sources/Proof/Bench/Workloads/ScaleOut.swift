import ArgumentParser

/// The command `holdfast-bench scale`.
struct ScaleOut: Workload {
    static let configuration = CommandConfiguration(
        commandName: "scale",
        abstract: "Jobs a second by the number of worker processes.",
        discussion: """
            Jobs on keys of their own, whose tasks take some time, and few slots for each worker: there is always work, and \
            no core is full. The ceiling is the rate of one process, times the number of processes. Beside it \
            are the cores that all servers and workers used.
            """
    )
    static let aims: [Aim] = [.atLeast(0.9, .ratio)]

    @Option(help: "How many worker processes: numbers separated by commas; the first is the ceiling of the others.")
    var processes = "1,2,4"

    @Option(help: "How many tasks each runs at once.")
    var slots = 2

    @Option(name: .customLong("task-ms"), help: "How long each task takes, in ms.")
    var taskMs = 20

    @Option(help: "How long each measurement takes, about, in seconds.")
    var seconds = 5.0

    @OptionGroup var options: RunOptions

    private func counts() throws -> [Int] { try numbers("--processes", processes, in: 1...64) }

    func validate() throws {
        guard try !counts().isEmpty else { throw ValidationError("--processes must be a number, at least.") }
        try require("--slots", slots, in: 1...100_000)
        try require("--task-ms", taskMs, in: 1...60_000)
        try require("--seconds", seconds, in: 0.5...3600)
    }

    func measure(_ report: Report) async throws {
        let counts = try counts()
        var ofOne: Double?
        for count in counts {
            let runs = try await BenchSystem.with { system in
                var runs: [TimedDrain] = []
                for _ in 0..<options.runs {
                    runs.append(
                        try await system.drain(for: seconds, taskMs: taskMs, processes: count, slots: slots)
                    )
                }
                return runs
            }
            var figure = Figure("scale, \(count) process\(count > 1 ? "es" : "")", "jobs/s", runs.map(\.rate))
            figure.details = [("cores", Samples(runs.map(\.cores)).median)]
            if let ofOne {
                figure.ceiling = Samples([ofOne * Double(count)])
                figure.aims = Self.aims
            }
            report(figure)
            ofOne = ofOne ?? figure.samples.median / Double(count)
        }
    }
}
