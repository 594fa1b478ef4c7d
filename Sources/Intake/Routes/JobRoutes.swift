import HTTPTypes
import Holdfast
import Hummingbird
import Postgres
import Redlock

/// The routes of `/v1/jobs`.
struct JobRoutes: Sendable {
    /// The longest that an answer is held until a job has finished, in seconds.
    private static let longestWait: Int64 = 60
    /// After so many bytes of values and metadata a page of a list ends.
    private static let pageBytes = 4 << 20

    let submissions: Submissions
    /// Of what has been submitted or ordered just now: it waits for no question.
    let submitted: JobStore
    let store: JobStore
    let operations: QueueOperations
    let views: QueueViews
    let watch: JobWatch
    let nodes: NodeRoutes

    /// Adds the routes, by the scope that each needs.
    func add(submit: some RouterMethods<IntakeContext>, read: some RouterMethods<IntakeContext>) {
        submit.post("v1/jobs") { request, context in
            let fields = try await JSONFields(
                request,
                limit: IntakeContext.bodyLimit,
                types: ["application/json"]
            )
            var job = try NewJobReader.read(fields, traceparent: request.traceparent)
            job.idempotencyKey = context.client.own(try IdempotencyKey.read(request))
            var receipt = try await submissions.submit(job)
            if !receipt.isNew, let first = try await submitted.find(receipt.id) {
                // A repeated submission is answered like the first.
                receipt = JobReceipt(id: first.id, submittedAt: first.submittedAt)
            }
            var response = JSONResponse.make(JobResponse.json(Job(job, receipt)), status: .accepted)
            response.headers[.location] = "/v1/jobs/\(receipt.id)"
            return response
        }
        read.get("v1/jobs/:id") { request, context in
            let id = try context.job()
            let query = try QueryFields(request, ["wait"])
            if let seconds = try query.integer("wait", in: 0...Self.longestWait), seconds > 0 {
                try await watch.wait(for: id, within: .seconds(seconds), token: context.client.token)
            }
            return JobResponse.make(try await find(id), for: request)
        }
        read.get("v1/jobs") { request, _ in try await list(request) }
        read.get("v1/jobs/:id/timeline") { _, context in
            let id = try context.job()
            let job = try await find(id)
            let (events, attempts) = try await views.timeline(of: job)
            return JSONResponse.make(
                JSONWriter.object { writer in
                    writer.field("id", id.rawValue)
                    writer.field("state", job.state.rawValue)
                    writer.field("submittedAt", job.submittedAt.rfc3339())
                    writer.field("finishedAt", job.finishedAt?.rfc3339())
                    writer.field("attempts", list: attempts)
                    writer.field("events", list: events)
                }
            )
        }
        read.get("v1/jobs/:id/why") { _, context in
            let id = try context.job()
            var causes = try await views.causes(of: id)
            let job = try await find(id)
            if !job.state.isFinished, job.state != .running {
                causes += [nodes.missingQuorum(), nodes.missingValueNode(for: job.kind)].compactMap(\.self)
            }
            if causes.contains(where: { $0.contains(#""cause":"foreign-holder""#) }),
                let cause = await nodes.foreignHold(of: job.key)
            {
                causes.append(cause)
            }
            return JSONResponse.make(
                JSONWriter.object { writer in
                    writer.field("id", id.rawValue)
                    writer.field("state", job.state.rawValue)
                    writer.field("causes", list: causes)
                }
            )
        }
    }

    /// Adds the routes of operators.
    func add(operate: some RouterMethods<IntakeContext>) {
        operate.post("v1/jobs/:id/cancel") { request, context in
            try await request.expectNoBody()
            let id = try context.job()
            _ = try await operations.cancel(id)
            return try await show(id)
        }
        operate.post("v1/jobs/:id/retry") { request, context in
            try await request.expectNoBody()
            let id = try context.job()
            try await operations.retry(id)
            return try await show(id)
        }
        operate.patch("v1/jobs/:id") { request, context in
            let id = try context.job()
            var fields = try await JSONFields(
                request,
                limit: IntakeContext.bodyLimit,
                types: ["application/json", "application/merge-patch+json"]
            )
            guard let value = try fields.takeInteger("priority") else { throw InvalidField("priority", "is missing") }
            if let name = fields.left.first { throw InvalidField(name, "cannot be changed; priority can") }
            let priority = try NewJob.number(value, in: NewJob.priorityRange, field: "priority")
            if try await find(id).state.isFinished { throw Problem(.conflict, "job \(id) is finished") }
            do {
                try await operations.setPriority(id, priority)
            } catch let error as PostgresError where error.sqlState == "P0002" {
                // It has finished since.
                throw Problem(.conflict, "job \(id) is finished")
            }
            return try await show(id)
        }
    }

    private func find(_ id: JobID) async throws -> Job {
        guard let job = try await store.find(id) else { throw Problem(.notFound, "there is no job \(id)") }
        return job
    }

    private func show(_ id: JobID) async throws -> Response {
        JSONResponse.make(JobResponse.json(try await find(id)))
    }

    private func list(_ request: Request) async throws -> Response {
        let query = try QueryFields(
            request,
            ["state", "key", "queue", "kind", "submittedAfter", "submittedBefore", "fields", "cursor", "limit"]
        )
        var filter = JobFilter()
        filter.states = try (query.text("state") ?? "").split(separator: ",").map { text in
            guard let state = Job.State(rawValue: String(text)) else {
                throw InvalidField(
                    "state",
                    "must be states, separated by commas, and \(String(text).shortened(to: 64)) is none"
                )
            }
            return state
        }
        filter.key = try query.text("key")
        filter.queue = try query.text("queue")
        filter.kind = try query.text("kind")
        filter.submittedAfter = try query.time("submittedAfter")
        filter.submittedBefore = try query.time("submittedBefore")
        filter.before = try query.numberCursor().map(JobID.init)
        let limit = try query.limit()
        filter.limit = limit + 1
        let fields = try Self.fields(query)
        filter.hasValues = fields.contains("value")
        filter.hasMetadata = fields.contains("metadata")
        filter.bytes = Int64(Self.pageBytes)
        let found = try await store.list(filter)
        let jobs = found.prefix(limit)
        let bytes = jobs.reduce(0) { $0 + $1.value.utf8.count + ($1.metadata?.utf8.count ?? 0) }
        let mayHaveMore = found.count > limit || bytes > Self.pageBytes
        return JSONResponse.make(
            JSONWriter.object(capacity: bytes + 512 * jobs.count) { writer in
                writer.array("jobs", Array(jobs)) { writer, job in
                    writer.only = fields
                    writer.object { JobResponse.write(job, to: &$0) }
                    writer.only = nil
                }
                if mayHaveMore, let last = jobs.last { writer.field("next", Cursor.make("\(last.id)")) }
            }
        )
    }

    /// The fields that a list is to have: its jobs' numbers, and what was asked for, or all that are short.
    private static func fields(_ query: QueryFields) throws -> Set<String> {
        guard let text = try query.text("fields") else {
            return JobResponse.fieldNames.subtracting(JobResponse.longFieldNames)
        }
        let names = Set(text.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
        if let name = names.subtracting(JobResponse.fieldNames).min() {
            throw InvalidField(
                "fields",
                "must be fields of a job, separated by commas, and \(name.shortened(to: 64)) is none"
            )
        }
        return names.union(["id"])
    }
}

/// The request header `Idempotency-Key`: a string as structured headers have it, or the bare text.
///
/// - Source: draft-ietf-httpapi-idempotency-key-header.
enum IdempotencyKey {
    static let field = HTTPField.Name("Idempotency-Key")!  // A valid name.

    static func read(_ request: Request) throws(InvalidField) -> String? {
        let values = request.headers[values: field]
        guard let value = values.first else { return nil }
        guard values.count == 1 else { throw InvalidField("Idempotency-Key", "must be given once") }
        var text = value
        if value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") {
            text = String(value.dropFirst().dropLast())
            guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }) else {
                throw InvalidField("Idempotency-Key", "must be ASCII without quotation marks and backslashes")
            }
        } else {
            guard value.utf8.allSatisfy({ isOfBareWord(Unicode.Scalar($0)) }) else {
                throw InvalidField(
                    "Idempotency-Key",
                    "must be in quotation marks, or have letters, digits and ._:- only"
                )
            }
        }
        guard !text.isEmpty else { throw InvalidField("Idempotency-Key", "must not be empty") }
        _ = try NewJob.bounded(value, upTo: NewJob.maximumIdempotencyKeyBytes, field: "Idempotency-Key")
        return text
    }

    private static func isOfBareWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", ":", "-": true
        default: false
        }
    }
}

extension Request {
    /// The trace context, when it is one: a bad one is as none.
    var traceparent: String? {
        guard let text = headers[HTTPField.Name("traceparent")!] else { return nil }  // A valid name.
        return TraceParent(text) == nil ? nil : text
    }

    /// Reads a body that is of no use.
    func expectNoBody() async throws {
        askForBody()
        for try await piece in body where piece.readableBytes > 0 {
            throw Problem(.badRequest, "this takes no body", [("", "must be empty")])
        }
    }
}
