import ArgumentParser
import Holdfast

/// The command `holdfast queues`.
struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, pause, resume and limit queues.",
        discussion: """
            Examples:
              holdfast queues
              holdfast queues pause invoices
              holdfast queues limit invoices --jobs 100000 --line 1000
            """,
        subcommands: [List.self, Pause.self, Resume.self, Limit.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the queues that have jobs, or that an operator has said something of.",
            discussion: "The deepest first, 200 at most. It looks at every unfinished job."
        )

        @Flag(help: "Print each as an object of JSON on a line, all of them, by name.") var json = false
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await common.withPool("queues") { pool, _ in
                let views = QueueViews(pool: pool)
                guard !json else { return try Output.write(lines: try await views.queues()) }
                let queues = try await views.queueStates(limit: 200)
                guard !queues.isEmpty else { return Progress(isQuiet: false).say("No queue has jobs.") }
                try Output.write(lines: Queues.table(queues).lines)
            }
        }
    }

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
                What is beyond is refused when it is submitted. A limit that is not given is none. It may be passed by what \
                several intakes are storing at the same moment. The jobs that a queue has when it gets a limit are counted \
                first: with millions of them that takes seconds.
                """
        )

        @Argument(help: "The queue's name.") var queue: String
        // Unconditionally: -1 is a number that is refused, and no option.
        @Option(parsing: .unconditional, help: "The most unfinished jobs of the queue.") var jobs: Int?
        @Option(parsing: .unconditional, help: "The most unfinished jobs of one key.") var line: Int?
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
        try await common.withPool("queues") { pool, _ in try await body(QueueOperations(pool: pool)) }
    }

    static func table(_ queues: [QueueState]) -> Table {
        var table = Table([
            ("QUEUE", .left), ("DEPTH", .right), ("SCHEDULED", .right), ("READY LINES", .right),
            ("RUNNING LINES", .right), ("OLDEST WAIT", .right), ("", .left),
        ])
        for queue in queues {
            table.add([
                queue.name, "\(queue.depth)", "\(queue.scheduled)", "\(queue.ready)", "\(queue.running)",
                queue.oldestWait.map(\.short) ?? "", queue.notes.joined(separator: "; ").printable,
            ])
        }
        return table
    }
}

extension QueueState {
    /// What is to be said of it in words.
    fileprivate var notes: [String] {
        (isPaused ? ["paused"] : [])
            + unserved.map {
                "no worker takes kind \($0.kind.shortened(to: 40)), \($0.lines) line\($0.lines == 1 ? "" : "s")"
            }
    }
}
