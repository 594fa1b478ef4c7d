import ArgumentParser
import Holdfast
import Postgres

/// The command `holdfast queues`.
struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pause, resume and limit queues.",
        subcommands: [Pause.self, Resume.self, Limit.self]
    )

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start no more jobs of a queue, on any worker.",
            discussion: "Those that run go on; submissions are taken. Takes effect within a second."
        )

        @Argument(help: "The queue's name.") var queue: String
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await Queues.operate(common) { try await $0.pause(queue) }
            print("Queue \(queue) is paused.")
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start the jobs of a paused queue again.")

        @Argument(help: "The queue's name.") var queue: String
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await Queues.operate(common) { try await $0.resume(queue) }
            print("Queue \(queue) is resumed.")
        }
    }

    struct Limit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set how many unfinished jobs a queue may have, and any key in it.",
            discussion: """
                What is beyond is refused when it is submitted. A limit that is not given is none. Depths are counted each \
                second: what several intakes take in between may pass a limit.
                """
        )

        @Argument(help: "The queue's name.") var queue: String
        @Option(help: "The most unfinished jobs of the queue.") var jobs: Int?
        @Option(help: "The most unfinished jobs of one key.") var line: Int?
        @OptionGroup var common: CommonOptions

        func validate() throws {
            for (name, value) in [("--jobs", jobs), ("--line", line)] {
                guard let value, !(0...1_000_000_000).contains(value) else { continue }
                throw ValidationError("\(name) must be from 0 to 1000000000, and is \(value)")
            }
        }

        func run() async throws {
            try await Queues.operate(common) { try await $0.limit(queue, jobs: jobs, line: line) }
            let limits = [jobs.map { "\($0) jobs" }, line.map { "\($0) jobs of a key" }].compactMap { $0 }
            print("Queue \(queue) may have \(limits.isEmpty ? "any number of jobs" : limits.joined(separator: ", ")).")
        }
    }

    fileprivate static func operate(
        _ common: CommonOptions,
        _ body: (QueueOperations) async throws -> Void
    ) async throws {
        let settings = try await Settings(flags: common.values, file: common.configurationFile)
        let logger = try settings.makeLogger("queues")
        let pool = PostgresPool(configuration: try settings.database("queues"), size: 1, logger: logger)
        defer { pool.close() }
        try await body(QueueOperations(pool: pool))
    }
}
