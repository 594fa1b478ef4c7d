import ArgumentParser
import Holdfast

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

    @Flag(help: "Print what is out of line, and was not repaired, as an object of JSON on a line each.")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.withPool("doctor") { pool, _ in
            let operations = QueueOperations(pool: pool)
            var problems = try await operations.problems()
            if repair, !problems.isEmpty {
                if !json { problems.forEach { print($0) } }
                let count = try await operations.repair()
                problems = try await operations.problems()
                if !json { print("Lines put in order: \(count)." + (problems.isEmpty ? "" : "\nLeft:")) }
            }
            for problem in problems {
                if json { try Output.write(json: Row(problem)) } else { print(problem) }
            }
            guard problems.isEmpty else { throw ExitCodes.failure }
            if !json { print("The queue is in order.") }
        }
    }

    private struct Row: Encodable {
        let problem: String, key: String?, job: Int64?, detail: String

        init(_ problem: QueueOperations.Problem) {
            self.problem = problem.name
            key = problem.key
            job = problem.job?.rawValue
            detail = problem.detail
        }
    }
}
