import ArgumentParser
import Holdfast
import Postgres
import Redlock

/// The command `holdfast-bench latency`.
struct IdleLatency: Workload {
    static let configuration = CommandConfiguration(
        commandName: "latency",
        abstract: "From the commit of a job's submission to its hold.",
        discussion: """
            Submits jobs at a steady rate to one worker, each on a key of its own, and takes from the database's clock how \
            long each had to wait for its hold. A submission's time is taken just before its commit, so that the commit's \
            flush is part of it. With --hot, as many jobs wait on ONE other key meanwhile: what a long line costs the others. \
            The ceiling is a submission, a claim and a lock, one after the other, by one who need not be told that there \
            is work.
            """
    )
    static let aims: [Aim] = [.below(5), .below(20, .detail("p99"))]

    @Option(help: "How many jobs are submitted in each run.")
    var jobs = 1000

    @Option(help: "How many jobs are submitted a second.")
    var rate = 100

    @Option(help: "How many jobs wait on another key.")
    var hot = 0

    @Option(help: "How many tasks the worker runs at once.")
    var slots = 1000

    @Option(name: .customLong("task-ms"), help: "How long each task takes, in ms.")
    var taskMs = 0

    @OptionGroup var options: RunOptions

    func validate() throws {
        try require("--jobs", jobs, in: 10...1_000_000)
        try require("--rate", rate, in: 1...100_000)
        try require("--hot", hot, in: 0...10_000_000)
        try require("--slots", slots, in: 1...100_000)
        try require("--task-ms", taskMs, in: 0...60_000)
    }

    func measure(_ report: Report) async throws {
        try await BenchSystem.with { system in
            var runs: [Latencies] = []
            var ceilings: [Double] = []
            for run in 0..<options.runs {
                ceilings.append(try await byHand(system, run).percentile(50))
                if hot > 0 { try await system.database.fill(hot, durationMs: Int64(taskMs)) { _ in "hot" } }
                runs.append(
                    try await system.withWorkers(slots: slots) { _ in
                        try await submit(system.database, run)
                        return try await waits(system.database, run)
                    }
                )
                try await system.database.empty()
            }
            var figure = Figure(hot > 0 ? "latency beside \(hot)" : "latency", runs)
            figure.ceiling = Samples(ceilings)
            figure.aims = hot > 0 ? [] : Self.aims
            report(figure)
        }
    }

    private func submit(_ database: BenchDatabase, _ run: Int) async throws {
        // Until the worker is there, and has done what it does once.
        try await database.fill(1) { _ in "first" }
        try await wait(until: "the first job has finished", within: .seconds(60)) {
            try await database.number("select count(*) from holdfast.key_lines where lock_key = 'first'") == 0
        }
        let wakeups = Wakeups(pool: database.pool, logger: database.logger)
        let submissions = Submissions(store: database.store, wakeups: wakeups)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await wakeups.run() }
            defer { group.cancelAll() }
            let start = ContinuousClock.now
            for number in 0..<jobs {
                try await Task.sleep(until: start.advanced(by: .seconds(Double(number) / Double(rate))))
                _ = try await submissions.submit(
                    NewJob(key: "run-\(run)-\(number)", value: "v", durationMs: Int64(taskMs))
                )
            }
        }
        try await wait(until: "all jobs have finished", within: .seconds(600)) {
            try await database.number("select count(*) from holdfast.jobs where lock_key like 'run-%'") == 0
        }
    }

    private func waits(_ database: BenchDatabase, _ run: Int) async throws -> Latencies {
        try await Latencies(
            database.execute(
                """
                select (extract(epoch from started_at - submitted_at) * 1000000)::bigint
                from holdfast.finished_jobs
                where lock_key like $1
                """,
                [.text("run-\(run)-%")]
            )
        )
    }

    /// Submits, claims and locks, one job after the other.
    private func byHand(_ system: BenchSystem, _ run: Int) async throws -> Latencies {
        let database = system.database
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        let description = WorkerRegistry.Description(
            name: "by hand",
            queues: ["default"],
            kinds: [LockAndSet.kind],
            slots: 1
        )
        try await registry.heartbeat(worker, description)
        var floors = ClaimFloors()
        var latencies = Latencies()
        for number in 0..<200 {
            let start = ContinuousClock.now
            _ = try await database.store.enqueue([NewJob(key: "hand-\(run)-\(number)", value: "v", durationMs: 0)])
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                kinds: [LockAndSet.kind],
                limit: 1,
                runLimit: 1,
                floors: &floors
            )
            guard let claim = claims.first else { throw BenchError(description: "nothing was claimed by hand") }
            let hold = try await system.nodes.redlock.acquire(claim.key)
            latencies.record(start.duration(to: .now))
            await system.nodes.redlock.release(hold)
            try await registry.heartbeat(worker, description)
        }
        try await database.empty()
        return latencies
    }
}
