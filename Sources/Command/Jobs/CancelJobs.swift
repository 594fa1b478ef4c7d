import ArgumentParser
import Holdfast
import Intake
import Postgres

/// The command `holdfast jobs cancel`.
struct CancelJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel jobs.",
        discussion: """
            One that waits ends at once. Of one that runs, or is named by the hold that lasts, its worker cancels the \
            task within about a second: jobs wait tells when. Exits with 1 when one had ended otherwise, or is not there.

            Examples:
              holdfast jobs cancel 42 43
            """
    )

    @Argument(help: "Their numbers.") var jobs: [JobID]
    @Flag(help: "Print each job as an object of JSON on a line.") var json = false
    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await JobOrders.run(jobs, json, common) { operations, job in
            switch try await operations.cancel(job) {
            case .cancelled: "Job \(job) is cancelled."
            case .running: "Job \(job) runs, and is being cancelled."
            case let state: throw JobOrders.Refused("job \(job) had ended: \(state?.rawValue ?? "unknown")")
            }
        }
    }
}

/// Something that is done with one job after the other.
enum JobOrders {
    /// Why it was not done with a job.
    struct Refused: Error {
        let reason: String

        init(_ reason: String) { self.reason = reason }
    }

    /// - Parameters:
    ///   - jobs: In this order; a refusal does not keep it from the rest.
    ///   - json: Whether jobs are printed, and not what was done.
    ///   - common: The database.
    ///   - order: Does it, and says so.
    /// - Throws: ``ExitCodes/failure`` when it was not done with all.
    static func run(
        _ jobs: [JobID],
        _ json: Bool,
        _ common: CommonOptions,
        _ order: (QueueOperations, JobID) async throws -> String
    ) async throws {
        try await common.withPool("jobs") { pool, _ in try await run(jobs, json, pool, order) }
    }

    static func run(
        _ jobs: [JobID],
        _ json: Bool,
        _ pool: PostgresPool,
        _ order: (QueueOperations, JobID) async throws -> String
    ) async throws {
        let operations = QueueOperations(pool: pool)
        let store = JobStore(pool: pool)
        var isDone = true
        for job in jobs {
            do {
                let told = try await order(operations, job)
                let shown = json ? try await store.find(job).map(JobJSON.text) : told
                try Output.write(lines: [shown ?? told])
            } catch let refused as Refused {
                isDone = false
                Progress(isQuiet: false).say(refused.reason)
            } catch let error as PostgresError where error.sqlState == "P0002" || error.sqlState == "55000" {
                // What a function of the database says of the job.
                isDone = false
                Progress(isQuiet: false).say(error.message)
            }
        }
        guard isDone else { throw ExitCodes.failure }
    }
}
