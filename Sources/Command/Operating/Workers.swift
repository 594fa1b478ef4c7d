import ArgumentParser
import Foundation
import Holdfast

/// The command `holdfast workers`.
struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the workers that are alive.",
        discussion: """
            Those whose lease has not lapsed; the one that leads sees to rescue, due times, partitions and seals. Exits \
            with 1 when there is none.
            """
    )

    @Flag(help: "Print each as an object of JSON on a line.") var json = false
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let workers = try await common.withPool("workers") { pool, _ in try await QueueViews(pool: pool).workers() }
        if json {
            try Output.write(lines: workers)
        } else if workers.isEmpty {
            Progress(isQuiet: false).say("No worker is alive: nothing runs.")
        } else {
            try Output.write(lines: try WorkerRow.table(workers).lines)
        }
        guard !workers.isEmpty else { throw ExitCodes.failure }
    }
}

/// A worker, as the database writes one.
struct WorkerRow: Decodable {
    let id: Int64, name: String, queues: [String], kinds: [String], slots: Int, claims: Int
    let startedAt: String, leaseUntil: String, isLeader: Bool, nodesWithoutVote: [String]

    /// What sets it apart.
    private var state: String {
        var parts = isLeader ? ["leads"] : []
        if !nodesWithoutVote.isEmpty { parts.append("no vote from \(nodesWithoutVote.joined(separator: ","))") }
        return parts.joined(separator: ", ").shortened(to: 60)
    }

    static func table(_ workers: [String]) throws -> Table {
        var table = Table([
            ("WORKER", .right), ("NAME", .left), ("", .left), ("QUEUES", .left), ("KINDS", .left), ("SLOTS", .right),
            ("CLAIMS", .right), ("LEASE UNTIL", .left), ("STARTED", .left),
        ])
        for text in workers {
            let worker = try JSONDecoder().decode(WorkerRow.self, from: Data(text.utf8))
            table.add([
                "\(worker.id)", worker.name.shortened(to: 40), worker.state,
                worker.queues.joined(separator: ",").shortened(to: 40),
                worker.kinds.joined(separator: ",").shortened(to: 40), "\(worker.slots)", "\(worker.claims)",
                worker.leaseUntil, worker.startedAt,
            ])
        }
        return table
    }
}
