import ArgumentParser

/// The command `holdfast-bench intake`.
struct SingleSubmissions: Workload {
    static let configuration = CommandConfiguration(
        commandName: "intake",
        abstract: "How many jobs are accepted over HTTP, one by one.",
        discussion: """
            Clients POST one job after another to /v1/jobs, each answered after its commit. The ceiling is the same server \
            that gives receipts without storing: what is then left is HTTP, JSON and the client. Beside it are the \
            percentiles of an answer's time, in ms.
            """
    )
    static let aims: [Aim] = [.atLeast(15_000), .below(25, .detail("p99")), .atLeast(0.5, .ratio)]

    @Option(help: "How many connections submit at once.")
    var connections = 64

    @Option(help: "How long each measurement takes, in seconds.")
    var seconds = 5.0

    @OptionGroup var options: RunOptions

    func validate() throws {
        try require("--connections", connections, in: 1...3000)
        try require("--seconds", seconds, in: 0.1...3600)
    }

    func measure(_ report: Report) async throws {
        try await BenchDatabase.with { database in
            var stored: [LoadClient.Answers] = []
            var unstored: [LoadClient.Answers] = []
            for _ in 0..<options.runs {
                stored.append(try await measure(database, storing: true))
                unstored.append(try await measure(database, storing: false))
                try await database.empty()
            }
            var figure = Figure("intake", "jobs/s", stored.map(\.perSecond))
            figure.ceiling = Samples(unstored.map(\.perSecond))
            figure.details = [50, 99].map { percent in
                ("p\(Int(percent))", Samples(stored.map { $0.latencies.percentile(percent) }).median)
            }
            figure.aims = Self.aims
            report(figure)
        }
    }

    private func measure(_ database: BenchDatabase, storing: Bool) async throws -> LoadClient.Answers {
        try await database.withIntake(storing: storing) { port in
            try await LoadClient(
                port: port,
                connections: connections,
                duration: .seconds(seconds),
                path: "/v1/jobs",
                contentType: "application/json"
            ) { connection, number in
                #"{"key":"key-\#(connection)-\#(number)","value":"value","durationMs":0}"#
            }.run()
        }
    }
}
