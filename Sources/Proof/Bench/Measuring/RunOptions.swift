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
}

/// Checks that a number is within its bounds.
///
/// - Throws: `ValidationError` that names the option.
func require<Number: Comparable>(_ option: String, _ value: Number, in range: ClosedRange<Number>) throws {
    guard range.contains(value) else {
        throw ValidationError("\(option) must be from \(range.lowerBound) to \(range.upperBound).")
    }
}

/// Reads numbers that are separated by commas.
///
/// - Throws: `ValidationError` that names the option, when one is out of bounds.
func numbers(_ option: String, _ text: String, in range: ClosedRange<Int>) throws -> [Int] {
    try text.split(separator: ",").map { part in
        guard let number = Int(part), range.contains(number) else {
            throw ValidationError(
                "\(option) must be numbers from \(range.lowerBound) to \(range.upperBound), separated by commas."
            )
        }
        return number
    }
}
