import ArgumentParser
import Postgres
import Redlock

/// The command `holdfast-bench hand-off`.
struct HandOff: Workload {
    static let configuration = CommandConfiguration(
        commandName: "hand-off",
        abstract: "From the end of a job to the beginning of the next on the same key.",
        discussion: """
            Drains ONE key, whose jobs take 51 ms, just too long to share a hold, and takes the times between them from the \
            lock history: never less than the true ones. The ceiling is the median of a \
            lock's acquisition and release with nothing else going on. betweenClaims is the median where the line was \
            settled and claimed again in between.
            """
    )
    static let aims: [Aim] = [.below(2), .below(10, .detail("p99"))]

    @Option(help: "How many jobs the key has in each run.")
    var jobs = 300

    @OptionGroup var options: RunOptions

    func validate() throws { try require("--jobs", jobs, in: 20...1_000_000) }

    func measure(_ report: Report) async throws {
        try await BenchSystem.with { system in
            var runs: [Latencies] = []
            var betweenClaims: [Double] = []
            var ceilings: [Double] = []
            for run in 0..<options.runs {
                let key = "run-\(run)"
                try await system.database.fill(jobs, durationMs: 51) { _ in key }
                try await system.withWorkers { _ in try await system.database.finishAll(within: .seconds(600)) }
                runs.append(try await gaps(system.database, key))
                betweenClaims.append(try await gaps(system.database, key, betweenClaims: true).percentile(50))
                ceilings.append(try await lockCycles(system.nodes.redlock).percentile(50))
            }
            var figure = Figure("hand-off", runs)
            figure.ceiling = Samples(ceilings)
            figure.details.append(("betweenClaims", Samples(betweenClaims).median))
            figure.aims = Self.aims
            report(figure)
        }
    }

    /// The times between a key's holds.
    private func gaps(
        _ database: BenchDatabase,
        _ key: String,
        betweenClaims: Bool = false
    ) async throws -> Latencies {
        // A claim draws one fence for itself, and one for each of its jobs: where no other key is, a gap shows a new claim.
        try await Latencies(
            database.execute(
                """
                select (extract(epoch from acquired_at - previous_end) * 1000000)::bigint
                from (
                    select acquired_at, lag(ended_at) over line as previous_end, fence - lag(fence) over line as step
                    from holdfast.lock_holds
                    where lock_key = $1
                    window line as (order by acquired_at)) h
                where previous_end is not null \(betweenClaims ? "and step > 1" : "")
                """,
                [.text(key)]
            )
        )
    }

    private func lockCycles(_ redlock: Redlock) async throws -> Latencies {
        var latencies = Latencies()
        for number in 0..<500 {
            let start = ContinuousClock.now
            await redlock.release(try await redlock.acquire(LockKey("cycle-\(number)")))
            latencies.record(start.duration(to: .now))
        }
        return latencies
    }
}
