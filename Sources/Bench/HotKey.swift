import ArgumentParser
import Holdfast
import Postgres
import Redlock
import Worker

/// The command `holdfast-bench hot-key`.
struct HotKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hot-key",
        abstract: "What a key with a long line costs the others.",
        discussion: """
            Runs jobs on cold keys, submitted at a steady rate, once beside a hot key with a long line and once without, \
            on one worker. Prints how long the cold jobs waited, and the commands that the lock nodes had to run for each job.
            """
    )

    @Option(help: "How many jobs wait on the hot key.")
    var hot = 10_000

    @Option(help: "How many jobs come on cold keys, one for each.")
    var cold = 1000

    @Option(help: "How many cold jobs are submitted a second.")
    var rate = 200

    @Option(help: "How many tasks the worker runs at once.")
    var slots = 16

    @Option(name: .customLong("task-ms"), help: "How long each task takes, in ms.")
    var taskMs = 5

    @Option(help: "How many times each is measured, in turn.")
    var runs = 3

    func validate() throws {
        for (name, value, range) in [
            ("hot", hot, 0...10_000_000), ("cold", cold, 1...1_000_000), ("rate", rate, 1...100_000),
            ("slots", slots, 1...100_000), ("task-ms", taskMs, 0...60_000), ("runs", runs, 1...100),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) must be from \(range.lowerBound) to \(range.upperBound).")
        }
    }

    /// A task that only takes time.
    struct Pause: TaskHandler {
        static let kind = "lockAndSet"
        static func payload(of value: String) -> String { value }
        let time: Duration

        func run(_ payload: String, _ context: TaskContext) async throws { try await Task.sleep(for: time) }
    }

    func run() async throws {
        var without: [(p50: Double, p99: Double)] = []
        var with: [(p50: Double, p99: Double)] = []
        for _ in 0..<runs {
            without.append(try await measure(hot: 0))
            with.append(try await measure(hot: hot))
        }
        let (alone, beside) = (Samples(without.map(\.p99)), Samples(with.map(\.p99)))
        print("cold jobs' wait   p50, ms   p99, ms (min … max)")
        for (name, waits, p99) in [("alone", without, alone), ("beside hot", with, beside)] {
            let p50 = Samples(waits.map(\.p50)).median
            print(
                "\(name.padded(16))  \(p50.short.padded(8))  \(p99.median.short) (\(p99.minimum.short) … \(p99.maximum.short))"
            )
        }
        print("ratio of the p99  \((beside.median / alone.median).short)")
    }

    private func measure(hot: Int) async throws -> (p50: Double, p99: Double) {
        try await BenchDatabase.with { database in
            try await BenchNodes.with(3, options: []) { nodes in
                if hot > 0 { try await database.fill(hot, keys: 1, prefix: "hot") }
                var configuration = WorkerConfiguration()
                configuration.slots = slots
                let worker = Worker(
                    configuration: configuration,
                    pool: database.pool,
                    database: try database.configuration(),
                    redlock: nodes.redlock,
                    handlers: [Pause(time: .milliseconds(taskMs))],
                    logger: database.logger
                )
                let before = try await nodes.commands()
                return try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await worker.run() }
                    try await submitCold(database)
                    let left = "select count(*) from holdfast.jobs where lock_key like 'cold-%'"
                    while try await database.number(left) > 0 { try await Task.sleep(for: .milliseconds(50)) }
                    let finished = try await database.number("select count(*) from holdfast.finished_jobs")
                    let commands = Double(try await nodes.commands() - before)
                    print("  \(Int(finished)) jobs, \((commands / finished).short) commands a job on 3 nodes")
                    let wait = """
                        select percentile_cont($1) within group (
                            order by extract(epoch from started_at - submitted_at) * 1000)::double precision
                        from holdfast.finished_jobs where lock_key like 'cold-%'
                        """
                    let p50 = try await database.execute(wait, [.double(0.5)])[0].decode(Double.self, at: 0)
                    let p99 = try await database.execute(wait, [.double(0.99)])[0].decode(Double.self, at: 0)
                    group.cancelAll()
                    return (p50, p99)
                }
            }
        }
    }

    private func submitCold(_ database: BenchDatabase) async throws {
        let wakeups = Wakeups(pool: database.pool, logger: database.logger)
        let submissions = Submissions(store: database.store, wakeups: wakeups)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await wakeups.run() }
            let start = ContinuousClock.now
            for number in 0..<cold {
                try await Task.sleep(until: start.advanced(by: .seconds(Double(number) / Double(rate))))
                _ = try await submissions.submit(NewJob(key: "cold-\(number)", value: "v", durationMs: 0))
            }
            group.cancelAll()
        }
    }
}
