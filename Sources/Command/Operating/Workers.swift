import ArgumentParser
import Foundation
import Holdfast

/// The command `holdfast workers`.
struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the workers that are alive.",
        discussion: """
            Those that had a heartbeat in the last 10 s. Besides running jobs, whichever comes first of them rescues the \
            jobs of dead workers, lets in what is due, and seals the history. Exits with 1 when there is none.
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
    let startedAt: String, lastBeatAt: String, nodesWithoutVote: [String]

    /// What sets it apart.
    private var state: String {
        guard !nodesWithoutVote.isEmpty else { return "" }
        return "no vote from \(nodesWithoutVote.joined(separator: ","))".shortened(to: 60)
    }

    static func table(_ workers: [String]) throws -> Table {
        var table = Table([
            ("WORKER", .right), ("NAME", .left), ("", .left), ("QUEUES", .left), ("KINDS", .left), ("SLOTS", .right),
            ("CLAIMS", .right), ("LAST BEAT", .left), ("STARTED", .left),
        ])
        for text in workers {
            let worker = try JSONDecoder().decode(WorkerRow.self, from: Data(text.utf8))
            table.add([
                "\(worker.id)", worker.name.shortened(to: 40), worker.state,
                worker.queues.joined(separator: ",").shortened(to: 40),
                worker.kinds.joined(separator: ",").shortened(to: 40), "\(worker.slots)", "\(worker.claims)",
                worker.lastBeatAt, worker.startedAt,
            ])
        }
        return table
    }
}
