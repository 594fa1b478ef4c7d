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
                var runs: [(rate: Double, cores: Double)] = []
                for _ in 0..<options.runs { runs.append(try await measure(system, count)) }
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

    private func measure(_ system: BenchSystem, _ processes: Int) async throws -> (rate: Double, cores: Double) {
        let database = system.database
        let jobs = max(100, Int(Double(processes * slots) * seconds * 1000 / Double(taskMs)))
        let before = try await database.lastID()
        try await database.fill(jobs, durationMs: Int64(taskMs)) { "key-\($0)" }
        let cores = try await system.withWorkers(processes, slots: slots) { workers in
            try await wait(until: "all workers work", within: .seconds(60)) {
                try await database.number("select count(distinct held_by) from holdfast.key_lines") == Double(processes)
            }
            let (before, start) = (system.usage(with: workers).seconds, ContinuousClock.now)
            try await database.finishAll(within: .seconds(seconds * 10 + 60))
            return (system.usage(with: workers).seconds - before) / start.duration(to: .now).seconds
        }
        // Neither where workers start nor where they run out of jobs.
        return (
            try await database.number(
                """
                select 0.8 * count(*) / extract(epoch from
                    percentile_disc(0.9) within group (order by finished_at)
                    - percentile_disc(0.1) within group (order by finished_at))
                from holdfast.finished_jobs
                where id > \(before)
                """
            ), cores
        )
    }
}
