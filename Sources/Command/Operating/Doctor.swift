import ArgumentParser
import Holdfast
import Postgres

/// The command `holdfast doctor`.
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is out of line in the queue, and put it in order.",
        discussion: """
            Looks for lines without jobs, jobs without a line, claims without a worker, and the like: there are none unless \
            somebody changed the tables by hand, or no worker runs. Exits with 1 when something is found and not repaired.
            """
    )

    @Flag(help: "Put lines in order; what workers do by themselves is left to them.")
    var repair = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await Settings(flags: common.values, file: common.configurationFile)
        let logger = try settings.makeLogger("doctor")
        let pool = PostgresPool(configuration: try settings.database("doctor"), size: 1, logger: logger)
        defer { pool.close() }
        let operations = QueueOperations(pool: pool)
        var problems = try await operations.problems()
        if repair, !problems.isEmpty {
            problems.forEach { print($0) }
            print("Lines put in order: \(try await operations.repair()).")
            problems = try await operations.problems()
            if !problems.isEmpty { print("Left:") }
        }
        problems.forEach { print($0) }
        guard problems.isEmpty else { throw ExitCode.failure }
        print("The queue is in order.")
    }
}
