import ArgumentParser

/// A command that measures something on private servers.
protocol Workload: AsyncParsableCommand, Sendable {
    var options: RunOptions { get }

    /// - Parameter report: Told each figure as soon as it is there.
    /// - Throws: `CancellationError` soon after the task is cancelled, everything stopped that was started.
    func measure(_ report: Report) async throws
}

extension Workload {
    func run() async throws {
        let report = Report(json: options.json)
        try await interruptible { [self] in
            try await report.begin()
            try await measure(report)
        }
    }
}

/// Why a measurement is none.
struct BenchError: Error, CustomStringConvertible { let description: String }
