import ArgumentParser
import Holdfast
import Redis
import Redlock

/// The command `holdfast doctor`.
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is out of line in the queue, and put it in order.",
        discussion: """
            Looks for lines without jobs, jobs without a line, claims without a worker, missing partitions, roles and grants, \
            sequences behind their tables, and, where --value-node or --lock-nodes names it, a value node that is ahead of the \
            database, as after an older backup was restored. There is none of it unless somebody changed the tables by hand, \
            restored them, set a clock, or no worker runs. Exits with 1 when something is found and not repaired.
            """
    )

    @Flag(help: "Put in order what can be without losing anything; what workers do by themselves is left to them.")
    var repair = false

    @Flag(help: "Print what is out of line, and was not repaired, as an object of JSON on a line each.")
    var json = false

    @OptionGroup var common: CommonOptions
    @OptionGroup var nodes: NodeOptions

    func run() async throws {
        let settings = try await Settings(
            flags: common.values.merging(nodes.values) { $1 },
            file: common.configurationFile
        )
        let logger = try settings.makeLogger("doctor")
        let node = try settings.valueNode(logger.forShortUse)
        let connection = node.map { node in Task { await node.run() } }
        defer { connection?.cancel() }
        try await common.withPool("doctor") { pool, _ in
            let operations = QueueOperations(pool: pool)
            var problems = try await operations.problems()
            var fences = try await operations.fencesBehind(node)
            if repair, !problems.isEmpty || fences != nil {
                if !json { (problems + [fences?.problem].compactMap(\.self)).forEach { print($0) } }
                let count = try await operations.repair()
                if let highest = fences?.highest { try await operations.raiseFences(above: highest) }
                if problems.contains(where: \.isOfAccess) {
                    try await Migrator(pool: pool, logger: logger.forShortUse).grantAccess()
                }
                problems = try await operations.problems()
                fences = try await operations.fencesBehind(node)
                let isDone = problems.isEmpty && fences == nil
                if !json { print("Lines put in order: \(count)." + (isDone ? "" : "\nLeft:")) }
            }
            problems += [fences?.problem].compactMap(\.self)
            for problem in problems {
                if json { try Output.write(json: Row(problem)) } else { print(problem) }
            }
            guard problems.isEmpty else { throw ExitCodes.failure }
            if !json {
                print("The queue is in order." + (node == nil ? " The value node was not looked at: name it." : ""))
            }
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
