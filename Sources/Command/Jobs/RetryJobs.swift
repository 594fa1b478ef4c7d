import ArgumentParser
import Holdfast
import Postgres

/// The command `holdfast jobs retry`.
struct RetryJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Let finished jobs run again, at the end of their lines.",
        discussion: """
            With --failed, those that have failed, the oldest of the last so many first. Exits with 1 when one is not \
            finished, or not there.

            Examples:
              holdfast jobs retry 42 43
              holdfast jobs retry --failed --queue invoices --limit 1000
            """
    )

    @Argument(help: "Their numbers.") var jobs: [JobID] = []
    @Flag(help: "All that have failed.") var failed = false
    @OptionGroup var which: JobFilterOptions
    @Option(help: "With --failed, how many at most; 1 to 1000.") var limit = 1000
    @Flag(help: "Print each job as an object of JSON on a line.") var json = false
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard failed == jobs.isEmpty else { throw ValidationError("Name the jobs, or say --failed.") }
        guard failed || !which.isGiven else { throw ValidationError("--key, --queue and --kind are for --failed.") }
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    func run() async throws {
        try await common.withPool("jobs") { pool, _ in
            var jobs = jobs
            if failed {
                var filter = which.filter
                filter.states = [.failed]
                filter.limit = limit
                jobs = try await JobStore(pool: pool).list(filter).map(\.id).reversed()
                if jobs.isEmpty { Progress(isQuiet: json).say("There is no such job.") }
            }
            try await JobOrders.run(jobs, json, pool) { operations, job in
                try await operations.retry(job)
                return "Job \(job) runs again."
            }
        }
    }
}
