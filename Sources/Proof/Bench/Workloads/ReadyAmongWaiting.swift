import ArgumentParser
import Holdfast

/// The command `holdfast-bench ready-among-waiting`.
struct ReadyAmongWaiting: Workload {
    static let configuration = CommandConfiguration(
        commandName: "ready-among-waiting",
        abstract: "What a claim takes when a few keys are ready and many wait for their time.",
        discussion: """
            Makes so many keys whose jobs wait until tomorrow. Then, again and again, ten of them become ready, are claimed \
            with nothing around that, and wait again; only the claim is measured. The figure is the 99th percentile of its \
            time, beside it p50 is the median. The ceiling is the same with few keys that wait, by turns on a server of its \
            own; ceilingP50 is the median there.

            A million keys take about 1 GB in the temporary folder (TMPDIR), and their making half a minute.
            """
    )
    static let aims: [Aim] = [.below(1.2, .ratio)]

    @Option(help: "How many keys wait.")
    var waiting = 1_000_000

    @Option(help: "How many keys wait for the ceiling.")
    var few = 1000

    @Option(help: "How many claims each run measures.")
    var claims = 2000

    @OptionGroup var options: RunOptions

    /// How many keys become ready at a time.
    private static let ready = 10

    func validate() throws {
        try require("--waiting", waiting, in: 10...100_000_000)
        try require("--few", few, in: 10...100_000_000)
        try require("--claims", claims, in: 10...1_000_000)
    }

    func measure(_ report: Report) async throws {
        try await BenchDatabase.with { many in
            try await BenchDatabase.with { few in
                try await many.makeWaiting(self.waiting)
                try await few.makeWaiting(self.few)
                var runs: (many: [Latencies], few: [Latencies]) = ([], [])
                for _ in 0..<options.runs {
                    runs.few.append(try await measure(few, keys: self.few))
                    runs.many.append(try await measure(many, keys: self.waiting))
                }
                report(figure(runs.many, ceiling: runs.few))
            }
        }
    }

    private func figure(_ runs: [Latencies], ceiling: [Latencies]) -> Figure {
        var figure = Figure("ready-among-waiting \(waiting)", "ms, p99", runs.map { $0.percentile(99) })
        figure.ceiling = Samples(ceiling.map { $0.percentile(99) })
        figure.details = [
            ("p50", Samples(runs.map { $0.percentile(50) }).median),
            ("ceilingP50", Samples(ceiling.map { $0.percentile(50) }).median),
        ]
        figure.aims = Self.aims
        return figure
    }

    private func measure(_ database: BenchDatabase, keys: Int) async throws -> Latencies {
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        var nextHeartbeat = ContinuousClock.now
        var floors = ClaimFloors()
        var latencies = Latencies()
        // The first ones plan their statements and are not measured.
        for number in -100..<claims {
            if ContinuousClock.now >= nextHeartbeat {
                try await registry.heartbeat(
                    worker,
                    .init(name: "by hand", queues: ["default"], kinds: [LockAndSet.kind], slots: Self.ready)
                )
                nextHeartbeat = .now + WorkerRegistry.heartbeatInterval
            }
            // As far apart as can be, so that they are not neighbours in any table or index.
            let first = Int.random(in: 0..<keys)
            let chosen = (0..<Self.ready).map { (first + $0 * (keys / Self.ready)) % keys }
            try await database.makeReady(chosen)
            let start = ContinuousClock.now
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                kinds: [LockAndSet.kind],
                limit: Self.ready,
                runLimit: 1,
                floors: &floors
            )
            let time = start.duration(to: .now)
            guard claims.count == Self.ready else {
                throw BenchError(description: "\(claims.count) of \(Self.ready) ready keys were claimed")
            }
            if number >= 0 { latencies.record(time) }
            try await database.makeWait(chosen)
        }
        return latencies
    }
}
