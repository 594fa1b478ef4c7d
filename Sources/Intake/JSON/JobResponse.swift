import HTTPTypes
import Holdfast
import Hummingbird
import Postgres
import Redlock

/// A job as clients see it; times in RFC 3339, UTC.
enum JobResponse {
    /// The names of a job's fields.
    static let fieldNames: Set = [
        "id", "key", "kind", "value", "queue", "priority", "durationMs", "lockTtlMs", "timeoutMs", "state", "attempt",
        "maxAttempts", "fence", "error", "submittedAt", "runAt", "startedAt", "finishedAt", "metadata", "traceparent",
        "progress", "progressNote",
    ]
    /// Those that are as long as a submitter likes: a list has them when they are asked for.
    static let longFieldNames: Set = ["value", "metadata"]

    static func json(_ job: Job) -> [UInt8] {
        JSONWriter.object(capacity: 512 + job.value.utf8.count) { write(job, to: &$0) }
    }

    /// Answers with a job; one that has finished may be kept, and asked for again by its tag.
    static func make(_ job: Job, for request: Request) -> Response {
        guard let finishedAt = job.finishedAt else { return JSONResponse.make(json(job)) }
        // A retry takes it out again, and gives it another end.
        let tag = "\"\(job.id)-\(finishedAt.microseconds)\""
        let tags = request.headers[.ifNoneMatch].map { $0.split { $0 == "," || $0 == " " }.map(String.init) } ?? []
        let isKnown = tags.contains { $0 == tag || $0 == "W/" + tag || $0 == "*" }
        var response = isKnown ? Response(status: .notModified) : JSONResponse.make(json(job))
        response.headers[.eTag] = tag
        response.headers[.cacheControl] = "private, no-cache"
        return response
    }

    static func write(_ job: Job, to writer: inout JSONWriter) {
        writer.field("id", job.id.rawValue)
        writer.field("key", job.key.text)
        writer.field("kind", job.kind)
        writer.field("value", job.value)
        writer.field("queue", job.queue)
        writer.field("priority", job.priority)
        writer.field("durationMs", job.duration.milliseconds)
        writer.field("lockTtlMs", job.lockTTL.milliseconds)
        writer.field("timeoutMs", job.timeout?.milliseconds)
        writer.field("state", job.state.rawValue)
        writer.field("attempt", job.attempt)
        writer.field("maxAttempts", job.maxAttempts)
        writer.field("fence", job.fence?.rawValue)
        writer.field("error", job.error)
        writer.field("submittedAt", job.submittedAt.rfc3339())
        writer.field("runAt", job.runAt?.rfc3339())
        writer.field("startedAt", job.startedAt?.rfc3339())
        writer.field("finishedAt", job.finishedAt?.rfc3339())
        writer.field("metadata", json: job.metadata)
        writer.field("traceparent", job.traceparent)
        writer.field("progress", json: job.progress.map { "\($0)" })
        writer.field("progressNote", job.progressNote)
    }
}
