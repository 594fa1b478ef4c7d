import ArgumentParser
import Holdfast
import Postgres
import Redis

extension Nodes {
    /// The command `holdfast nodes tidy`.
    struct Tidy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove fences from the value node that no unfinished job needs.",
            discussion: """
                Each key that a job ever wrote has a fence there, which turns away the write of a worker that was frozen \
                while its job ran elsewhere. This removes those whose key has no unfinished job and that were neither \
                written nor read for --idle-hours. What is given up: a worker that was frozen for longer than that, in the \
                instant before it writes, could then write a stale value. Values stay. Do not use it on a value node that \
                several databases share. It goes through all fences, 500 at a time; it can be stopped and run again.

                Examples:
                  holdfast nodes tidy --dry-run
                  holdfast nodes tidy --idle-hours 168
                """
        )

        @Flag(name: .customLong("dry-run"), help: "Remove nothing, and say how many would be removed.")
        var isDry = false

        @Option(
            name: .customLong("idle-hours"),
            help: "For how many hours a fence must not have been written or read, 1 to 87600. Default: 24."
        )
        var idleHours = 24

        @Flag(help: "Print the counts as an object of JSON.") var json = false
        @OptionGroup var nodes: NodeOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard (1...87_600).contains(idleHours) else {
                throw ValidationError("--idle-hours must be from 1 to 87600, and is \(idleHours).")
            }
        }

        func run() async throws {
            let flags = common.values.merging(nodes.values) { $1 }
            let settings = try await Settings(flags: flags, file: common.configurationFile)
            let logger = try settings.makeLogger("nodes").forShortUse
            guard let node = try settings.valueNode(logger) else {
                throw ValidationError("--value-node is not set, and --lock-nodes neither; give one of them.")
            }
            let pool = PostgresPool(configuration: try settings.database("nodes"), size: 1, logger: logger)
            defer { pool.close() }
            let connection = Task { await node.run() }
            defer { connection.cancel() }
            let progress = Progress(isQuiet: json)
            var toldAt = ContinuousClock.now
            let count = try await FenceTidying(node: node, pool: pool).run(
                idleFor: .seconds(idleHours * 3600),
                isDry: isDry
            ) { count in
                guard toldAt.duration(to: .now) >= .seconds(1) else { return }
                toldAt = .now
                progress.say("\(count.all) fences looked at, \(count.removed) \(isDry ? "would be " : "")removed …")
            }
            if json {
                try Output.write(
                    json: Row(fences: count.all, removed: count.removed, unknown: count.unknown, dryRun: isDry)
                )
            } else {
                try Output.write(lines: Self.lines(count, isDry: isDry))
            }
        }

        private static func lines(_ count: FenceTidying.Count, isDry: Bool) -> [String] {
            var lines = ["\(count.removed) of \(count.all) fences \(isDry ? "would be" : "are") removed."]
            if count.unknown > 0 {
                lines.append(
                    "\(count.unknown) are higher than any fence of this database, and stay: they are of another one, or this "
                        + "one was restored from a backup."
                )
            }
            return lines
        }

        private struct Row: Encodable {
            let fences: Int, removed: Int, unknown: Int, dryRun: Bool
        }
    }
}
