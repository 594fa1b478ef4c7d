import ArgumentParser
import Foundation
import Holdfast

/// The command `holdfast jobs wait`.
struct WaitForJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until jobs have finished.",
        discussion: """
            Examples:
              holdfast jobs wait 42 43 --timeout 60
              holdfast jobs submit --file jobs.ndjson --ids | holdfast jobs wait -
              holdfast jobs wait --all --queue invoices

            \(ExitCodes.help)
            """
    )

    @Argument(help: "The jobs' numbers; - reads them from standard input.") var jobs: [String] = []
    @Flag(help: "Wait until no job is unfinished.") var all = false
    @Option(help: "With --all: only in this queue.") var queue: String?
    @Option(help: "With --all: only of this key.") var key: String?
    @Option(help: ArgumentHelp("How long to wait. Default: without end.", valueName: "seconds")) var timeout: Int?
    @Flag(help: "Print an object of JSON that says how they ended; no progress.") var json = false
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard all == jobs.isEmpty else { throw ValidationError("Name the jobs, or say --all.") }
        guard all || queue == nil && key == nil else { throw ValidationError("--queue and --key are for --all.") }
        if jobs != ["-"] { _ = try Self.numbers(jobs) }
        try JobWait.validate(timeout)
    }

    func run() async throws {
        try await common.withPool("jobs") { pool, _ in
            let wait = JobWait(store: JobStore(pool: pool), timeout: timeout)
            guard !all else {
                return try await wait.waitForAll(in: queue, of: key, isQuiet: json) { counts, left in
                    let names = ["succeeded": Job.State.succeeded, "failed": .failed, "cancelled": .cancelled]
                    var numbers = names.mapValues { counts[$0, default: 0] }
                    numbers["unfinished"] = left
                    guard !json else { return try Output.write(json: numbers) }
                    let words = ["succeeded", "failed", "cancelled", "unfinished"].map { "\(numbers[$0] ?? 0) \($0)" }
                    Progress(isQuiet: false).say(words.joined(separator: "; "))
                }
            }
            let ids = try jobs == ["-"] ? await Self.read() : Self.numbers(jobs)
            try await wait.wait(for: ids, isQuiet: json) { report in
                if json { try Output.write(json: report) } else { report.tell() }
            }
        }
    }

    private static func numbers(_ texts: [String]) throws -> [JobID] {
        try texts.map { text in
            guard let id = JobID(argument: text) else { throw ValidationError("\(text) is not the number of a job.") }
            return id
        }
    }

    private static func read() async throws -> [JobID] {
        let input = try InputFile("-")
        var text: [UInt8] = []
        while case let piece = try await input.next(), !piece.isEmpty { text += piece }
        return try numbers(String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init))
    }
}
