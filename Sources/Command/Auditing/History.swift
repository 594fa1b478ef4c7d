import ArgumentParser
import Foundation
import Holdfast
import Postgres
import Redlock

/// The command `holdfast history`.
struct History: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what happened to the lock of a key.",
        discussion: """
            One event a line, oldest first: who held it, for how long, by which nodes' votes, and why it ended.

            Examples:
              holdfast history invoice-7
              holdfast history invoice-7 --last 10 --follow
              holdfast history invoice-7 --json
            """
    )

    @Argument(help: "The key.") var key: String
    @Option(help: "How many of the last events to show.") var last: Int32 = 100
    @Flag(help: "Go on with what happens, until interrupted.") var follow = false
    @Flag(help: "Print an object of JSON a line.") var json = false
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !(1...1_000_000).contains(last) else { return }
        throw ValidationError("--last must be from 1 to 1000000, and is \(last).")
    }

    func run() async throws {
        let lockKey: LockKey
        do { lockKey = try LockKey(key) } catch { throw ValidationError("The key \(error).") }
        let settings = try await Settings(flags: common.values, file: common.configurationFile)
        let logger = try settings.makeLogger("history")
        let pool = PostgresPool(configuration: try settings.database("history"), size: 1, logger: logger)
        defer { pool.close() }
        var timeline = KeyTimeline(of: lockKey, pool: pool, isJSON: json)
        let lines = try await timeline.last(last)
        try show(lines)
        if lines.isEmpty, !follow { Progress(isQuiet: json).say("The history has no event of key \(key).") }
        while follow {
            try await Task.sleep(for: .milliseconds(500))
            try show(try await timeline.next())
        }
    }

    private func show(_ lines: [String]) throws {
        guard !lines.isEmpty else { return }
        // Not buffered, as print would: whoever follows sees it now.
        try FileHandle.standardOutput.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
    }
}
