import HTTPTypes
import Holdfast
import Hummingbird
import Postgres
import Redlock

/// The routes of `/v1/jobs`.
struct JobRoutes: Sendable {
    private static let fieldNames = ["key", "value", "durationMs", "lockTtlMs"]

    let submissions: Submissions
    let store: JobStore

    func add(submit: RouterGroup<IntakeContext>, read: RouterGroup<IntakeContext>) {
        submit.post("v1/jobs") { request, _ in
            var fields = try await JSONFields(request, limit: IntakeContext.bodyLimit)
            let job = try Self.newJob(&fields)
            let receipt = try await submissions.submit(job)
            var response = try JSONResponse.make(JobResponse(Job(job, receipt)), status: .accepted)
            response.headers[.location] = "/v1/jobs/\(receipt.id)"
            return response
        }
        read.get("v1/jobs/:id") { _, context in
            let text = try context.parameters.require("id")
            guard let id = Int64(text), id > 0 else {
                throw InvalidField("id", "must be the number of a job, such as 42")
            }
            guard let job = try await store.find(JobID(id)) else {
                throw Problem(.notFound, "there is no job \(id)")
            }
            return try JSONResponse.make(JobResponse(job))
        }
    }

    private static func newJob(_ fields: inout JSONFields) throws(InvalidField) -> NewJob {
        let job = try NewJob(
            key: try fields.takeString("key"),
            value: try fields.takeString("value"),
            durationMs: try fields.takeInteger("durationMs"),
            lockTTLMs: try fields.takeInteger("lockTtlMs")
        )
        try fields.expectEmpty(known: fieldNames)
        return job
    }
}

/// A job as clients see it; times in RFC 3339, UTC.
private struct JobResponse: Encodable {
    let id: Int64
    let key: String
    let kind: String
    let value: String
    let queue: String
    let priority: Int
    let durationMs: Int64
    let lockTtlMs: Int64
    let state: String
    let attempt: Int
    let maxAttempts: Int
    let fence: Int64?
    let error: String?
    let submittedAt: String
    let startedAt: String?
    let finishedAt: String?

    init(_ job: Job) {
        id = job.id.rawValue
        key = job.key.text
        kind = job.kind
        value = job.value
        queue = job.queue
        priority = job.priority
        durationMs = job.duration.milliseconds
        lockTtlMs = job.lockTTL.milliseconds
        state = job.state.rawValue
        attempt = job.attempt
        maxAttempts = job.maxAttempts
        fence = job.fence?.rawValue
        error = job.error
        submittedAt = job.submittedAt.rfc3339()
        startedAt = job.startedAt?.rfc3339()
        finishedAt = job.finishedAt?.rfc3339()
    }
}
