import ArgumentParser

/// The command `holdfast-bench split`.
struct SplitSlots: Workload {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "What a job costs when several worker processes share the slots of one.",
        discussion: """
            Jobs on keys of their own, whose tasks take some time, and as many slots in all whatever the number of \
            processes: there is always work, and no core is full. The figure is the processor time of a job, of all servers \
            and workers; its ceiling is that with one process, so a ratio of 1.1 means that a job costs a tenth more. Beside \
            it is the rate, in jobs a second.
            """
    )
    static let aims: [Aim] = [.below(1.1, .ratio)]

    @Option(help: "How many worker processes: numbers separated by commas; the first is the ceiling of the others.")
    var processes = "1,4"

    @Option(help: "How many tasks all of them run at once; each process has an equal part.")
    var slots = 8

    @Option(name: .customLong("task-ms"), help: "How long each task takes, in ms.")
    var taskMs = 20

    @Option(help: "How long each measurement takes, about, in seconds.")
    var seconds = 5.0

    @OptionGroup var options: RunOptions

    private func counts() throws -> [Int] { try numbers("--processes", processes, in: 1...64) }

    func validate() throws {
        guard try counts().count > 1 else { throw ValidationError("--processes must be two numbers, at least.") }
        try require("--slots", slots, in: 1...100_000)
        guard try counts().allSatisfy({ slots.isMultiple(of: $0) }) else {
            throw ValidationError("--slots must be a multiple of each of --processes.")
        }
        try require("--task-ms", taskMs, in: 1...60_000)
        try require("--seconds", seconds, in: 0.5...3600)
    }

    func measure(_ report: Report) async throws {
        let counts = try counts()
        // All in each round, so that what the machine does meanwhile meets all of them.
        let rounds = try await BenchSystem.with { system in
            var rounds: [[TimedDrain]] = []
            for _ in 0..<options.runs {
                var round: [TimedDrain] = []
                for count in counts {
                    round.append(
                        try await system.drain(
                            for: seconds,
                            taskMs: taskMs,
                            processes: count,
                            slots: slots / count
                        )
                    )
                }
                rounds.append(round)
            }
            return rounds
        }
        var ceiling: Samples?
        for (index, count) in counts.enumerated() {
            let runs = rounds.map { $0[index] }
            let name = "split over \(count) process\(count > 1 ? "es" : "")"
            var figure = Figure(name, "ms of a core a job", runs.map(\.msPerJob))
            figure.details = [("rate", Samples(runs.map(\.rate)).median)]
            figure.ceiling = ceiling
            if ceiling != nil { figure.aims = Self.aims }
            report(figure)
            ceiling = ceiling ?? figure.samples
        }
    }
}
