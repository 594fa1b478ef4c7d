import ArgumentParser
import Foundation
import Holdfast
import Intake
import Postgres
import Redlock

/// The command `holdfast jobs show`.
struct ShowJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a job, its attempts, and why it does not run.",
        discussion: """
            Examples:
              holdfast jobs show 42
              holdfast jobs show 42 --json

            Exits with 1 when there is no such job.
            """
    )

    /// As the database writes one.
    private struct Attempt: Decodable {
        let attempt: Int, fence: Int64, worker: Int64?
        let startedAt: String, endedAt: String?, outcome: String?, reason: String?
    }

    private struct Cause: Decodable { let cause: String, detail: String }

    @Argument(help: "Its number.") var job: JobID
    @Flag(help: "Print an object of JSON: the job, its attempts, and what keeps it waiting.") var json = false
    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.withPool("jobs") { pool, _ in
            guard let found = try await JobStore(pool: pool).find(job) else { throw NoSuchJob(job: job) }
            let views = QueueViews(pool: pool)
            let attempts = try await views.timeline(of: found).attempts
            let causes = found.state.isFinished ? [] : try await views.causes(of: job)
            guard !json else {
                let parts = [
                    #""job":\#(JobJSON.text(of: found))"#, #""attempts":[\#(attempts.joined(separator: ","))]"#,
                    #""causes":[\#(causes.joined(separator: ","))]"#,
                ]
                return try Output.write(lines: ["{\(parts.joined(separator: ","))}"])
            }
            try Output.write(lines: Self.lines(found))
            for cause in causes {
                let cause = try JSONDecoder().decode(Cause.self, from: Data(cause.utf8))
                try Output.write(lines: ["why".padded + "\(cause.cause): \(cause.detail.printable)"])
            }
            guard !attempts.isEmpty else { return }
            try Output.write(lines: [""] + Self.table(attempts).lines)
        }
    }

    private static func lines(_ job: Job) -> [String] {
        let fields: [(String, String?)] = [
            ("job", "\(job.id)"), ("state", job.state.rawValue), ("key", job.key.text),
            ("value", job.value.shortened(to: 200)), ("kind", job.kind), ("queue", job.queue),
            ("priority", "\(job.priority)"), ("attempt", "\(job.attempt) of \(job.maxAttempts)"),
            ("fence", job.fence?.description), ("error", job.error), ("submitted", job.submittedAt.rfc3339()),
            ("due", job.runAt?.rfc3339()), ("started", job.startedAt?.rfc3339()),
            ("finished", job.finishedAt?.rfc3339()), ("metadata", job.metadata), ("traceparent", job.traceparent),
            ("progress", job.progress.map { "\(Int($0 * 100)) % \(job.progressNote ?? "")" }),
        ]
        return fields.compactMap { name, value in value.map { name.padded + $0.printable } }
    }

    private static func table(_ attempts: [String]) throws -> Table {
        var table = Table([
            ("ATTEMPT", .right), ("WORKER", .right), ("FENCE", .right), ("STARTED", .left), ("ENDED", .left),
            ("OUTCOME", .left), ("REASON", .left),
        ])
        for text in attempts {
            let attempt = try JSONDecoder().decode(Attempt.self, from: Data(text.utf8))
            table.add([
                "\(attempt.attempt)", attempt.worker.map(String.init) ?? "", "\(attempt.fence)", attempt.startedAt,
                attempt.endedAt ?? "", attempt.outcome ?? "runs", attempt.reason ?? "",
            ])
        }
        return table
    }
}

/// There is none of that number.
struct NoSuchJob: Error, CustomStringConvertible {
    let job: JobID

    var description: String { "there is no job \(job)" }
}

extension String {
    /// As the name of a field, before its value.
    fileprivate var padded: String { padding(toLength: 13, withPad: " ", startingAt: 0) }
}
