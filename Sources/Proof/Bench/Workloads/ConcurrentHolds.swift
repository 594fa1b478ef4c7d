import ArgumentParser
import Foundation
import LocalStack

/// The command `holdfast-bench concurrent`.
struct ConcurrentHolds: Workload {
    static let configuration = CommandConfiguration(
        commandName: "concurrent",
        abstract: "How many tasks one worker process runs at once.",
        discussion: """
            Jobs on keys of their own, whose tasks only wait, and a slot for each. The figure is the most holds that there \
            were at one time, by the lock history; the ceiling is the number of jobs. Beside it, of the worker: how many \
            of its holds were lost (every job has to succeed at its first attempt), MB that it had resident and cores that it \
            used while all were held, and how often they were extended.
            """
    )

    @Option(help: "How many jobs.")
    var jobs = 50_000

    @Option(name: .customLong("task-seconds"), help: "How long each task takes, in seconds.")
    var taskSeconds = 10

    @OptionGroup var options: RunOptions

    /// None lost, and all of them at once.
    private var aims: [Aim] {
        [
            .atLeast(Double(jobs)), .below(1, .detail("lost")), .below(600, .detail("MB")),
            .below(1, .detail("cores")),
        ]
    }

    func validate() throws {
        try require("--jobs", jobs, in: 1...100_000)
        try require("--task-seconds", taskSeconds, in: 1...3600)
    }

    /// What a run gave.
    private struct Outcome: Sendable {
        let most: Double
        let lost: Double
        let extensions: Double
        /// While all were held; `nil` when they never were for long enough.
        let kept: (megabytes: Double, cores: Double)?
    }

    func measure(_ report: Report) async throws {
        var outcomes: [Outcome] = []
        for _ in 0..<options.runs { outcomes.append(try await BenchSystem.with { try await run($0) }) }
        var figure = Figure("concurrent", "holds at once", outcomes.map(\.most))
        figure.ceiling = Samples([Double(jobs)])
        figure.aims = aims
        figure.details = [
            ("lost", Samples(outcomes.map(\.lost)).maximum),
            ("extensions", Samples(outcomes.map(\.extensions)).median),
        ]
        let kept = outcomes.compactMap(\.kept)
        if kept.count == outcomes.count {
            figure.details += [
                ("MB", Samples(kept.map(\.megabytes)).median), ("cores", Samples(kept.map(\.cores)).median),
            ]
        }
        report(figure)
    }

    private func run(_ system: BenchSystem) async throws -> Outcome {
        let database = system.database
        try await database.fill(jobs, durationMs: Int64(taskSeconds) * 1000) { "key-\($0)" }
        let kept = try await system.withWorkers(slots: jobs) { workers in
            let kept = try await whileAllAreHeld(database, workers)
            try await database.finishAll(within: .seconds(600))
            return kept
        }
        let most = try await database.number(
            """
            select max(held)
            from (
                select sum(step) over (order by at, step) as held
                from holdfast.lock_holds,
                    lateral (values (acquired_at, 1), (ended_at, -1)) as e(at, step)
                where at is not null) h
            """
        )
        // A hold that was lost makes another attempt of its job.
        let atOnce = "select count(*) from holdfast.finished_jobs where state = 'succeeded' and attempt = 1"
        return Outcome(
            most: most,
            lost: Double(jobs) - (try await database.number(atOnce)),
            extensions: try await database.number(
                "select count(*) from holdfast.lock_history where event = 'extended'"
            ),
            kept: kept
        )
    }

    /// What a worker uses from when all holds are acquired until shortly before the first of them ends.
    private func whileAllAreHeld(
        _ database: BenchDatabase,
        _ workers: [LocalProcess]
    ) async throws -> (megabytes: Double, cores: Double)? {
        try await database.claim(jobs, within: .seconds(600))
        let acquired = "select count(*) from holdfast.lock_history where event = 'acquired'"
        try await wait(until: "all holds are acquired", within: .seconds(600)) {
            try await database.number(acquired) >= Double(jobs)
        }
        let firstEnd = try await database.number(
            """
            select extract(epoch from min(at) + interval '\(taskSeconds) seconds' - clock_timestamp())
            from holdfast.lock_history
            where event = 'acquired'
            """
        )
        let time = firstEnd - 0.25
        guard time > 0.25 else { return nil }
        let (before, start) = (ProcessUsage(of: workers.map(\.pid)), ContinuousClock.now)
        try await Task.sleep(for: .seconds(time))
        let after = ProcessUsage(of: workers.map(\.pid))
        return (
            Double(after.memory) / 1e6, (after.seconds - before.seconds) / start.duration(to: .now).seconds
        )
    }
}
