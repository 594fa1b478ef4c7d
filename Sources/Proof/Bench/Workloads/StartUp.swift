import ArgumentParser
import LocalStack
import Postgres

/// The command `holdfast-bench start-up`.
struct StartUp: Workload {
    static let configuration = CommandConfiguration(
        commandName: "start-up",
        abstract: "From the start of a worker to its first claim.",
        discussion: """
            Starts the program holdfast work while a job waits, and takes from the database's clock when the job was \
            claimed; hold is when it had its lock. The lock nodes persist every write, so that they have a vote at once. The \
            ceiling is the time that holdfast --help takes.
            """
    )
    static let aims: [Aim] = [.below(150)]

    @OptionGroup var options: RunOptions

    func measure(_ report: Report) async throws {
        let program = try HoldfastProgram()
        try await BenchSystem.with(nodeOptions: RedisServer.persistent) { system in
            var claims: [Double] = []
            var holds: [Double] = []
            var ceilings: [Double] = []
            for run in 0..<options.runs {
                let start = ContinuousClock.now
                _ = try await LocalProcess.output(of: program.path, ["--help"])
                ceilings.append(start.duration(to: .now).seconds * 1000)
                let (claim, hold) = try await measure(program, system, run)
                claims.append(claim)
                holds.append(hold)
            }
            var figure = Figure("start-up", "ms", claims)
            figure.ceiling = Samples(ceilings)
            figure.details = [("hold", Samples(holds).median)]
            figure.aims = Self.aims
            report(figure)
        }
    }

    private func measure(
        _ program: HoldfastProgram,
        _ system: BenchSystem,
        _ run: Int
    ) async throws -> (claim: Double, hold: Double) {
        let database = system.database
        // A task that takes some time: its line, which says when it was claimed, is there until then.
        try await database.fill(1, durationMs: 500) { _ in "run-\(run)" }
        let times = try await withProcesses { processes in
            let start = try await database.now()
            processes.append(try program.start(["work"], on: system))
            var times: Rows?
            try await wait(until: "the job has its lock", within: .seconds(60)) {
                let rows = try await database.execute(
                    """
                    select (extract(epoch from k.claimed_at - $2) * 1000)::double precision,
                           (extract(epoch from h.at - $2) * 1000)::double precision
                    from holdfast.key_lines k
                    join holdfast.lock_history h on h.lock_key = k.lock_key and h.event = 'acquired'
                    where k.lock_key = $1 and k.held_by is not null
                    """,
                    [.text("run-\(run)"), .timestamp(start)]
                )
                times = rows.first == nil ? nil : rows
                return times != nil
            }
            try await database.finishAll(within: .seconds(60))
            return times
        }
        guard let row = times?.first else { throw BenchError(description: "the job had no lock") }
        return (try row.decode(Double.self, at: 0), try row.decode(Double.self, at: 1))
    }
}
