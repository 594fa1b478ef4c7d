import ArgumentParser

/// What all workloads are asked.
struct RunOptions: ParsableArguments {
    @Option(help: "How many runs the median is of.")
    var runs = 3

    @Flag(help: "One JSON object for each figure, on a line of its own.")
    var json = false

    func validate() throws {
        guard (1...1000).contains(runs) else { throw ValidationError("--runs must be from 1 to 1000.") }
    }

    /// Prints a figure as soon as it is there.
    func report(_ figure: Figure) { print(json ? figure.json : figure.row) }
}
