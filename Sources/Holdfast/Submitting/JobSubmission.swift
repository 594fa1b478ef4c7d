public import Foundation
import Redlock

/// A job to be submitted within a transaction of the caller's, by whichever PostgreSQL client they have.
///
/// ```swift
/// var job = try JobSubmission(key: "invoice:42", SendInvoice.Payload(number: 42), for: SendInvoice.self)
/// job.priority = 0
/// // Within the transaction that makes the invoice due; the first column of the only row is the job's number.
/// try await connection.query(JobSubmission.statement, job.parameters)
/// ```
/// The job is there if the transaction commits, and joins its line within a fraction of a second, before any job of its
/// key that is submitted over HTTP after the commit. The bounds of each field are those of the SQL function
/// `holdfast.submit`, which refuses what is outside of them, and names the argument.
public struct JobSubmission: Sendable {
    /// The resource that the job names: 1 to 512 bytes.
    public var key: String
    /// What its task is given: at most 1 MiB.
    public var value: String
    /// Which handler runs it.
    public var kind: String
    /// Which workers may run it; default `default`.
    public var queue = "default"
    /// 0 (first) to 9; chooses between keys; default 5.
    public var priority = Int(NewJob.defaultPriority)
    /// When it joins its line, at the earliest; `nil` for at once.
    public var runAt: Date?
    /// After how many attempts it is failed: 1 to 1,000; default 20.
    public var maxAttempts = Int(NewJob.defaultMaxAttempts)
    /// The time to live of its lock: 1 to 60 s; default 20 s; a hold is extended while the task runs.
    public var lockTTL = NewJob.defaultLockTTL
    /// How long its task is declared to take: up to a day; default 10 s.
    ///
    /// Jobs of one key that follow each other, each of at most 50 ms, share a hold.
    public var duration = NewJob.defaultDuration
    /// How long an attempt's task may run, up to a week; `nil` for its duration, and the worker's grace.
    public var timeout: Duration?
    /// What the submitter wants to find it by: a JSON text of at most 16 KiB.
    public var metadata: String?
    /// The trace context of its submission (W3C Trace Context).
    public var traceparent: String?
    /// The same content with the same key is the same job for a day; at most 255 bytes.
    public var idempotencyKey: String?

    /// Makes a submission with the defaults.
    ///
    /// - Parameters:
    ///   - key: The resource that the job names.
    ///   - value: What its task is given.
    ///   - kind: Which handler runs it.
    public init(key: String, value: String, kind: String = "lockAndSet") {
        self.key = key
        self.value = value
        self.kind = kind
    }

    /// Makes a submission for a handler of one's own, its payload as JSON.
    ///
    /// - Parameters:
    ///   - key: The resource that the job names.
    ///   - payload: What its task is given.
    ///   - handler: Who runs it.
    /// - Throws: `EncodingError`.
    public init<Handler: TaskHandler>(
        key: String,
        _ payload: Handler.Payload,
        for handler: Handler.Type
    ) throws where Handler.Payload: Encodable {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        self.init(key: key, value: String(decoding: try encoder.encode(payload), as: UTF8.self), kind: handler.kind)
    }

    /// The statement that submits a job, with ``parameters``; its only row has the job's number, a `bigint`.
    ///
    /// Every parameter is a text, so that it does not matter how a client sends the others.
    public static let statement = """
        select holdfast.submit(
            key => $1::text, value => $2::text, kind => $3::text, queue => $4::text, priority => $5::text::integer,
            run_at => $6::text::timestamptz, max_attempts => $7::text::integer, lock_ttl_ms => $8::text::integer,
            duration_ms => $9::text::integer, timeout_ms => $10::text::integer, metadata => $11::text::jsonb,
            traceparent => $12::text, idempotency_key => $13::text)
        """

    /// What the statement is given, `$1` first; `nil` is null.
    public var parameters: [String?] {
        [
            key, value, kind, queue, "\(priority)",
            runAt?.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)), "\(maxAttempts)",
            "\(lockTTL.milliseconds)", "\(duration.milliseconds)", timeout.map { "\($0.milliseconds)" }, metadata,
            traceparent, idempotencyKey,
        ]
    }
}
