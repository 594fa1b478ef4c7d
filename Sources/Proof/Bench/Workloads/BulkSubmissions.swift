import ArgumentParser
import Holdfast

/// The command `holdfast-bench bulk`.
struct BulkSubmissions: Workload {
    static let configuration = CommandConfiguration(
        commandName: "bulk",
        abstract: "How many jobs are accepted over HTTP in batches.",
        discussion: """
            Clients POST one batch after another to /v1/jobs/batch, as NDJSON, each answered after its commit; every job \
            has a key of its own. The ceiling is the statement that stores a batch, sent with as many jobs by as many \
            connections, which do nothing else. Beside it is the 99th percentile of an answer's time, in ms.
            """
    )
    static let aims: [Aim] = [.atLeast(60_000), .atLeast(0.8, .ratio)]

    @Option(help: "How many jobs are in a batch.")
    var batch = 1000

    @Option(help: "How many connections submit at once; an intake takes in no more than 4 batches.")
    var connections = 4

    @Option(help: "How long each measurement takes, in seconds.")
    var seconds = 3.0

    @OptionGroup var options: RunOptions

    func validate() throws {
        try require("--batch", batch, in: 1...10_000)
        try require("--connections", connections, in: 1...4)
        try require("--seconds", seconds, in: 0.1...60)
    }

    func measure(_ report: Report) async throws {
        try await BenchDatabase.with { database in
            var rates: [Double] = []
            var ceilings: [Double] = []
            var worst: [Double] = []
            for _ in 0..<options.runs {
                let answers = try await submit(database)
                rates.append(answers.perSecond * Double(batch))
                worst.append(answers.latencies.percentile(99))
                try await database.empty()
                ceilings.append(try await store(answers.latencies.count, in: database))
                try await database.empty()
            }
            var figure = Figure("bulk", "jobs/s", rates)
            figure.ceiling = Samples(ceilings)
            figure.details = [("p99", Samples(worst).median)]
            figure.aims = Self.aims
            report(figure)
        }
    }

    private func submit(_ database: BenchDatabase) async throws -> LoadClient.Answers {
        try await database.withIntake { port in
            try await LoadClient(
                port: port,
                connections: connections,
                duration: .seconds(seconds),
                path: "/v1/jobs/batch",
                contentType: "application/x-ndjson"
            ) { [batch] connection, number in
                let key = #"{"key":"key-\#(connection)-\#(number)-"#
                return (0..<batch).map { #"\#(key)\#($0)","value":"value","durationMs":0}"# }.joined(separator: "\n")
            }.run()
        }
    }

    /// Stores so many batches by the statement alone.
    ///
    /// - Returns: Jobs a second.
    private func store(_ batches: Int, in database: BenchDatabase) async throws -> Double {
        // Made before: that is no part of the statement.
        let jobs = try (0..<max(batches, connections)).map { number in
            try (0..<batch).map { try NewJob(key: "raw-\(number)-\($0)", value: "value", durationMs: 0) }
        }
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in 0..<connections {
                group.addTask { [connections] in
                    for number in stride(from: connection, to: jobs.count, by: connections) {
                        _ = try await database.store.enqueue(jobs[number])
                    }
                }
            }
            try await group.waitForAll()
        }
        return Double(jobs.count * batch) / start.duration(to: .now).seconds
    }
}
