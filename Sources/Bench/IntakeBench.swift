import ArgumentParser
import Holdfast
import Intake
import Logging
import Postgres
import Redis
import Redlock

/// The command `holdfast-bench intake`.
struct IntakeBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "intake",
        abstract: "How many jobs are accepted over HTTP, beside the same server that stores nothing.",
        discussion: """
            Clients POST one job after another to /v1/jobs, each answered after its commit. In the same run the same server \
            gives receipts without storing: what is then left is HTTP, JSON and the client.
            """
    )

    @Option(help: "How many connections submit at once.")
    var connections = 64

    @Option(help: "How long each measurement takes, in seconds.")
    var seconds = 5

    @Option(help: "How many times each is measured, in turn.")
    var runs = 3

    func validate() throws {
        for (name, value, range) in [
            ("connections", connections, 1...10_000), ("seconds", seconds, 1...3600), ("runs", runs, 1...100),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) must be from \(range.lowerBound) to \(range.upperBound).")
        }
    }

    /// What one measurement gave.
    private struct Figures: Sendable {
        let rate: Double
        let p50: Double
        let p99: Double

        init(_ latencies: [Double], seconds: Int) {
            let sorted = latencies.sorted()
            rate = Double(sorted.count) / Double(seconds)
            p50 = sorted[sorted.count / 2]
            p99 = sorted[sorted.count * 99 / 100]
        }
    }

    func run() async throws {
        let (stored, unstored) = try await BenchDatabase.with { [self] database in
            var stored: [Figures] = []
            var unstored: [Figures] = []
            for _ in 0..<runs {
                stored.append(try await measure(database, storing: true))
                unstored.append(try await measure(database, storing: false))
            }
            return (stored, unstored)
        }
        print("intake, \(connections) connections   accepted/s (min … max)   p50, ms   p99, ms")
        for (name, figures) in [("stored", stored), ("storage off", unstored)] {
            let rate = Samples(figures.map(\.rate))
            let (p50, p99) = (Samples(figures.map(\.p50)).median, Samples(figures.map(\.p99)).median)
            print(
                "\(name.padded(24))  \(Int(rate.median)) (\(Int(rate.minimum)) … \(Int(rate.maximum)))   "
                    + "\(p50.short)   \(p99.short)"
            )
        }
        let ratio = Samples(zip(stored, unstored).map { $0.rate / $1.rate })
        print("ratio  \(ratio.median.short) (\(ratio.minimum.short) … \(ratio.maximum.short))")
    }

    private func measure(_ database: BenchDatabase, storing: Bool) async throws -> Figures {
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        var configuration = IntakeConfiguration()
        configuration.port = 0
        configuration.access = .open
        configuration.maxConnections = connections + 100
        let wakeups = Wakeups(pool: database.pool, logger: database.logger)
        let receipt = try await Submissions(store: database.store, wakeups: wakeups)
            .submit(try NewJob(key: "first", value: "v", durationMs: 0))
        let nowhere = Submissions(store: database.store, wakeups: wakeups) { jobs in jobs.map { _ in .success(receipt) }
        }
        // No value is read or written: the node need not be there.
        let values = ValueStore(node: RedisNode(try RedisEndpoint("redis://127.0.0.1:1"), logger: database.logger))
        var logger = database.logger
        logger.logLevel = .critical  // Connections that the end of a measurement cuts are no errors.
        let intake = Intake(
            configuration: configuration,
            pool: database.pool,
            values: values,
            lockNodes: [],
            submissions: storing ? nil : nowhere,
            logger: logger
        ) { listening.yield($0) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await intake.run() }
            defer { group.cancelAll() }
            var port = 0
            for await listens in ports {
                port = listens
                break
            }
            let client = LoadClient(port: port, connections: connections, duration: .seconds(seconds))
            return Figures(try await client.run(), seconds: seconds)
        }
    }
}
