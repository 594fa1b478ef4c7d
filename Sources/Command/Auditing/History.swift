import ArgumentParser
import Holdfast
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
        try await common.withPool("history") { pool, _ in
            var timeline = KeyTimeline(of: lockKey, pool: pool, isJSON: json)
            let lines = try await timeline.last(last)
            try Output.write(lines: lines)
            if lines.isEmpty, !follow { Progress(isQuiet: json).say("The history has no event of key \(key).") }
            while follow {
                try await Task.sleep(for: .milliseconds(500))
                try Output.write(lines: try await timeline.next())
            }
        }
    }
}
