import ArgumentParser
import Holdfast
import Intake
import Postgres

/// The flags that say how a job is to be run.
struct NewJobOptions: ParsableArguments {
    @Option(help: "Which handler runs it. Default: lockAndSet.") var kind: String?
    @Option(help: "Which workers may run it. Default: default.") var queue: String?
    @Option(help: "0 (first) to 9; chooses between keys. Default: 5.") var priority: Int64?
    @Option(
        name: .customLong("run-at"),
        help: ArgumentHelp("When it joins its line, such as 2026-11-24T08:00:00Z. Default: at once.", valueName: "time")
    )
    var runAt: String?
    @Option(name: .customLong("max-attempts"), help: "After how many attempts it is failed. Default: 20.")
    var maxAttempts: Int64?
    @Option(name: .customLong("lock-ttl-ms"), help: "The time to live of its lock. Default: 20000.")
    var lockTTLMs: Int64?
    @Option(
        name: .customLong("duration-ms"),
        help: ArgumentHelp(
            "How long its task is declared to take. Default: 10000.",
            discussion: "Jobs of one key that follow each other share a hold, if each has at most 50."
        )
    )
    var durationMs: Int64?
    @Option(
        name: .customLong("timeout-ms"),
        help: "How long an attempt's task may run. Default: its duration, and the worker's grace."
    )
    var timeoutMs: Int64?
    @Option(help: ArgumentHelp("What you want to find it by: a JSON object.", valueName: "json"))
    var metadata: String?
    @Option(
        name: .customLong("idempotency-key"),
        help: ArgumentHelp("The same again with this key is the same job, for a day.", valueName: "key")
    )
    var idempotencyKey: String?
    @Option(help: ArgumentHelp("The trace context of its submission (W3C).", valueName: "context"))
    var traceparent: String?

    /// Whether any was given.
    var isGiven: Bool {
        let texts = [kind, queue, runAt, metadata, idempotencyKey, traceparent]
        let numbers = [priority, maxAttempts, lockTTLMs, durationMs, timeoutMs]
        return texts.contains { $0 != nil } || numbers.contains { $0 != nil }
    }

    /// A job within its bounds.
    ///
    /// - Throws: `ValidationError`, which names the flag.
    func job(_ key: String, _ value: String) throws -> NewJob {
        do {
            return try checked(key, value)
        } catch let field as InvalidField {
            let isArgument = field.name == "key" || field.name == "value"
            throw ValidationError("\(isArgument ? "The \(field.name)" : Self.flag(field.name)) \(field.reason).")
        } catch let invalid as JobJSON.Invalid {
            throw ValidationError("--metadata: \(invalid).")
        }
    }

    private func checked(_ key: String, _ value: String) throws -> NewJob {
        var job = try NewJob(key: key, value: value, durationMs: durationMs, lockTTLMs: lockTTLMs)
        if let kind { job.kind = try NewJob.name(kind, field: "kind") }
        if let queue { job.queue = try NewJob.name(queue, field: "queue") }
        if let priority {
            job.priority = try NewJob.number(priority, in: NewJob.priorityRange, field: "priority")
        }
        if let runAt {
            guard let time = PostgresTimestamp(rfc3339: runAt) else {
                throw InvalidField("runAt", "must be a time such as 2026-11-24T08:00:00Z")
            }
            job.runAt = time
        }
        if let maxAttempts {
            job.maxAttempts = try NewJob.number(maxAttempts, in: NewJob.maxAttemptsRange, field: "maxAttempts")
        }
        if let timeoutMs {
            job.timeout = try NewJob.duration(timeoutMs, in: NewJob.timeoutRange, field: "timeoutMs")
        }
        if let metadata { job.metadata = try JobJSON.metadata(metadata) }
        if let idempotencyKey {
            guard !idempotencyKey.isEmpty else { throw InvalidField("idempotencyKey", "must not be empty") }
            job.idempotencyKey = try NewJob.bounded(
                idempotencyKey,
                upTo: NewJob.maximumIdempotencyKeyBytes,
                field: "idempotencyKey"
            )
        }
        if let traceparent { job.traceparent = try NewJob.bounded(traceparent, upTo: 128, field: "traceparent") }
        return job
    }

    /// The flag of a field of the API: `--lock-ttl-ms` for `lockTtlMs`.
    private static func flag(_ field: String) -> String {
        "--" + field.map { $0.isUppercase ? "-\($0.lowercased())" : "\($0)" }.joined()
    }
}
