import ArgumentParser

/// The command `holdfast-bench backlog`.
struct Backlog: Workload {
    static let configuration = CommandConfiguration(
        abstract: "Jobs a second by how many wait.",
        discussion: """
            Lets one worker drain some portions of jobs that do nothing but their fenced write, each on a key of its own, \
            while so many wait. The first number of --waiting is the ceiling of the others; there a portion is stored when \
            the one before has been drained. The first portion of each is left out, and the begin and end of the others.

            A million jobs take about 400 MB in the temporary folder (TMPDIR), and their making many seconds.
            """
    )
    static let aims: [Aim] = [.atLeast(0.85, .ratio)]

    @Option(help: "How many jobs wait: numbers separated by commas.")
    var waiting = "10000,10000000"

    @Option(help: "How many jobs are in a portion, at most.")
    var portion = 10_000

    @OptionGroup var options: RunOptions

    private func depths() throws -> [Int] { try numbers("--waiting", waiting, in: 1000...100_000_000) }

    func validate() throws {
        guard try depths().count > 1 else { throw ValidationError("--waiting must be two numbers, at least.") }
        try require("--portion", portion, in: 1000...1_000_000)
    }

    func measure(_ report: Report) async throws {
        var ceiling: Samples?
        for depth in try depths() {
            var figure = Figure(
                "backlog \(depth)",
                "jobs/s",
                try await BenchSystem.with { try await rates($0, waiting: depth) }
            )
            figure.ceiling = ceiling
            if ceiling != nil { figure.aims = Self.aims }
            report(figure)
            ceiling = ceiling ?? figure.samples
        }
    }

    private func rates(_ system: BenchSystem, waiting: Int) async throws -> [Double] {
        let portion = min(portion, waiting)
        let portions = options.runs + 1
        let database = system.database
        if waiting > portion {
            try await database.makeBacklog(waiting + portion * portions)
            try await database.tidy()
            // What it has claimed it finishes.
            try await system.withWorkers { _ in try await database.claim(portion * portions, within: .seconds(600)) }
        } else {
            try await system.withWorkers { _ in
                for _ in 0..<portions {
                    try await database.makeBacklog(portion)
                    try await database.finishAll(within: .seconds(600))
                }
            }
        }
        return Array(try await database.steadyRates(after: 0, portion: portion).prefix(options.runs))
    }
}
