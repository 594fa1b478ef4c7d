import Holdfast
import Postgres
import Redlock

/// Reads a job from its JSON fields, and names all that is wrong with them.
struct NewJobReader {
    /// Of names that are no fields, so many are told.
    private static let unknownLimit = 5
    private static let fieldNames = [
        "key", "value", "kind", "queue", "priority", "runAt", "maxAttempts", "lockTtlMs", "durationMs", "timeoutMs",
        "metadata",
    ]

    private var fields: JSONFields
    private var wrong: [InvalidField] = []

    /// - Parameters:
    ///   - fields: What was submitted.
    ///   - traceparent: Of the request.
    ///   - hasIdempotencyKey: Whether the job may name its own, as in a batch.
    /// - Returns: A job within its bounds.
    /// - Throws: ``InvalidSubmission``.
    static func read(
        _ fields: JSONFields,
        traceparent: String?,
        hasIdempotencyKey: Bool = false
    ) throws(InvalidSubmission) -> NewJob {
        var reader = NewJobReader(fields: fields)
        let key = reader.take { fields throws(InvalidField) in try NewJob.key(try fields.takeString("key")) }
        let value = reader.take { fields throws(InvalidField) in try NewJob.value(try fields.takeString("value")) }
        var job = NewJob(key ?? LockKey(stored: ""), value ?? "")
        reader.setOptional(&job)
        job.traceparent = traceparent
        if hasIdempotencyKey {
            job.idempotencyKey =
                reader.take { fields throws(InvalidField) in
                    try fields.takeText("idempotencyKey").map { text throws(InvalidField) in
                        guard !text.isEmpty else { throw InvalidField("idempotencyKey", "must not be empty") }
                        return try NewJob.bounded(
                            text,
                            upTo: NewJob.maximumIdempotencyKeyBytes,
                            field: "idempotencyKey"
                        )
                    }
                } ?? nil
        }
        let unknown = reader.fields.left
        if !unknown.isEmpty {
            let known = fieldNames + (hasIdempotencyKey ? ["idempotencyKey"] : [])
            for name in unknown.prefix(unknownLimit) {
                reader.wrong.append(
                    InvalidField(
                        name.shortened(to: NewJob.maximumNameBytes),
                        "is not a field; the fields are \(known.joined(separator: ", "))"
                    )
                )
            }
            if unknown.count > unknownLimit {
                reader.wrong.append(InvalidField("", "has \(unknown.count - unknownLimit) more fields that are none"))
            }
        }
        guard reader.wrong.isEmpty else { throw InvalidSubmission(fields: reader.wrong) }
        return job
    }

    private mutating func setOptional(_ job: inout NewJob) {
        set(&job.kind, name("kind"))
        set(&job.queue, name("queue"))
        set(&job.priority, number("priority", NewJob.priorityRange))
        set(&job.maxAttempts, number("maxAttempts", NewJob.maxAttemptsRange))
        set(&job.lockTTL, duration("lockTtlMs", NewJob.lockTTLRange))
        set(&job.duration, duration("durationMs", NewJob.durationRange))
        job.timeout = duration("timeoutMs", NewJob.timeoutRange)
        job.runAt =
            take { fields throws(InvalidField) in
                try fields.takeText("runAt").map { text throws(InvalidField) in
                    guard let time = PostgresTimestamp(rfc3339: text) else {
                        throw InvalidField("runAt", "must be a time in RFC 3339, such as 2026-11-24T08:00:00Z")
                    }
                    return time
                }
            } ?? nil
        job.metadata = take { fields throws(InvalidField) in try fields.takeMetadata() } ?? nil
    }

    private func set<Value>(_ property: inout Value, _ value: Value?) {
        if let value { property = value }
    }

    private mutating func name(_ field: String) -> String? {
        take { fields throws(InvalidField) in
            try fields.takeText(field).map { text throws(InvalidField) in try NewJob.name(text, field: field) }
        } ?? nil
    }

    private mutating func number(_ field: String, _ range: ClosedRange<Int64>) -> Int32? {
        take { fields throws(InvalidField) in
            try fields.takeInteger(field).map { value throws(InvalidField) in
                try NewJob.number(value, in: range, field: field)
            }
        } ?? nil
    }

    private mutating func duration(_ field: String, _ range: ClosedRange<Int64>) -> Duration? {
        take { fields throws(InvalidField) in
            try fields.takeInteger(field).map { value throws(InvalidField) in
                try NewJob.duration(value, in: range, field: field)
            }
        } ?? nil
    }

    private mutating func take<Value>(_ read: (inout JSONFields) throws(InvalidField) -> Value) -> Value? {
        do throws(InvalidField) {
            return try read(&fields)
        } catch {
            wrong.append(error)
            return nil
        }
    }
}

extension JSONFields {
    /// Takes a text that may be missing.
    mutating func takeText(_ name: String) throws(InvalidField) -> String? {
        switch take(name) {
        case .string(let text): return text
        case .null: return nil
        case let other: throw InvalidField(name, "must be a string, and is \(other.typeName)")
        }
    }

    /// Takes a JSON object that may be missing, as its text.
    mutating func takeMetadata() throws(InvalidField) -> String? {
        let value = take("metadata")
        switch value {
        case .null: return nil
        case .object(let object):
            guard !object.holdsNUL else { throw InvalidField("metadata", "must not contain a NUL character") }
            guard object.size <= NewJob.maximumMetadataBytes else {
                throw InvalidField(
                    "metadata",
                    "must have at most \(NewJob.maximumMetadataBytes) bytes as PostgreSQL writes it, and has \(object.size)"
                )
            }
            return object.text
        default: throw InvalidField("metadata", "must be a JSON object, and is \(value.typeName)")
        }
    }
}
