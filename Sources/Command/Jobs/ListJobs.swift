import ArgumentParser
import Holdfast
import Intake
import Postgres
import Redlock

/// The command `holdfast jobs list`.
struct ListJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List jobs, the newest first.",
        discussion: """
            Examples:
              holdfast jobs list --state failed,cancelled --queue invoices
              holdfast jobs list --key demo --limit 1000 --json
              holdfast jobs list --before 4200
            """
    )

    @Option(help: "scheduled, queued, running, retrying, succeeded, failed, cancelled; several by commas.")
    var state: String?
    @OptionGroup var which: JobFilterOptions
    @Option(help: "Only those submitted after this time, such as 2026-11-24T08:00:00Z.") var after: String?
    @Option(help: "Only those with a lower number.") var before: JobID?
    @Option(help: "How many at most; 1 to 1000.") var limit = 100
    @Flag(help: "Print each job as an object of JSON on a line.") var json = false
    @OptionGroup var common: CommonOptions

    func validate() throws { _ = try filter() }

    private func filter() throws -> JobFilter {
        var filter = which.filter
        filter.states = try (state ?? "").split(separator: ",").map { name in
            guard let state = Job.State(rawValue: String(name)) else {
                throw ValidationError("--state must be states of jobs, separated by commas, and \(name) is none.")
            }
            return state
        }
        if let after {
            guard let time = PostgresTimestamp(rfc3339: after) else {
                throw ValidationError("--after must be a time such as 2026-11-24T08:00:00Z.")
            }
            filter.submittedAfter = time
        }
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
        filter.before = before
        filter.limit = limit
        return filter
    }

    func run() async throws {
        let filter = try filter()
        let jobs = try await common.withPool("jobs") { pool, _ in try await JobStore(pool: pool).list(filter) }
        guard !json else { return try Output.write(lines: jobs.map(JobJSON.text)) }
        guard !jobs.isEmpty else { return Progress(isQuiet: false).say("There is no such job.") }
        var table = Table([
            ("ID", .right), ("STATE", .left), ("KEY", .left), ("KIND", .left), ("QUEUE", .left), ("ATTEMPT", .right),
            ("SUBMITTED", .left), ("ERROR", .left),
        ])
        for job in jobs {
            table.add([
                "\(job.id)", job.state.rawValue, job.key.text.shortened(to: 40), job.kind, job.queue,
                "\(job.attempt)/\(job.maxAttempts)", job.submittedAt.rfc3339(.milliseconds),
                (job.error ?? "").shortened(to: 60),
            ])
        }
        try Output.write(lines: table.lines)
    }
}
