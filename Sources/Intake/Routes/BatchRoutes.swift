import Holdfast
import Hummingbird
import NIOCore
import Redlock

/// `POST /v1/jobs/batch`: many jobs, all or none.
struct BatchRoutes: Sendable {
    /// The most jobs in a batch.
    static let jobLimit = 10_000
    /// The most bytes of a batch.
    static let byteLimit = 16 << 20
    /// What a job of a batch takes besides its own bytes.
    private static let jobBytes = 512

    let submissions: Submissions

    func add(submit: some RouterMethods<IntakeContext>) {
        submit.post("v1/jobs/batch") { request, context in
            guard request.headers[IdempotencyKey.field] == nil else {
                throw InvalidField("Idempotency-Key", "is not taken by a batch; give each job its idempotencyKey")
            }
            let jobs = try await Self.read(request, context.client)
            // As the statement's parameters, and as libpq sends them.
            try OpenConnection.current?.serving?.take(2 * jobs.reduce(0) { $0 + $1.byteCount })
            let receipts = try await submissions.submitWhole(jobs)
            return JSONResponse.make(
                JSONWriter.object(capacity: 16 * receipts.count + 64) { writer in
                    writer.field("count", receipts.count)
                    writer.field("ids", list: receipts.map { "\($0.id)" })
                },
                status: .accepted
            )
        }
    }

    /// As many fields are wrong as an answer names; the rest is not looked at.
    private struct Enough: Error {}

    /// Reads a batch as it comes in; what is wrong with any of its jobs is told of all.
    private static func read(_ request: Request, _ client: Client) async throws -> [NewJob] {
        let isLines = request.mediaType == "application/x-ndjson"
        var jobs: [NewJob] = []
        var wrong: [(pointer: String, detail: String)] = []
        var firstBad: (index: Int, detail: String)?
        var splitter = ItemSplitter(isLines ? .lines : .array, itemLimit: IntakeContext.bodyLimit)
        var count = 0
        let held = OpenConnection.current?.serving
        let take = { (item: [UInt8]) in
            defer { count += 1 }
            guard count < jobLimit else {
                throw Problem(.badRequest, "a batch has at most \(jobLimit) jobs", [("", "is too long")])
            }
            do {
                var job = try NewJobReader.read(
                    try JSONFields.parse(item),
                    traceparent: request.traceparent,
                    hasIdempotencyKey: true
                )
                job.idempotencyKey = client.own(job.idempotencyKey)
                try held?.take(jobBytes)
                if firstBad == nil { jobs.append(job) }
                return
            } catch let invalid as InvalidSubmission {
                firstBad = firstBad ?? (count, invalid.description)
                wrong += invalid.fields.map { (Problem.pointer(count, $0.name), $0.description) }
            } catch let problem as Problem {
                let reason = problem.details.errors?.first?.detail ?? "must be a JSON object"
                firstBad = firstBad ?? (count, reason)
                wrong.append((Problem.pointer(count, ""), reason))
            }
            jobs = []
            if wrong.count >= Problem.fieldLimit { throw Enough() }
        }
        do {
            try await request.forEachPiece(upTo: byteLimit, types: ["application/json", "application/x-ndjson"]) {
                try splitter.add($0.readableBytesView, take)
            }
            try splitter.finish(take)
        } catch ItemSplitter.Failure.malformed {
            throw Problem(.badRequest, "the body is not a JSON array", [("", "must be a JSON array of jobs")])
        } catch ItemSplitter.Failure.tooLong {
            throw Problem(
                .contentTooLarge,
                "nothing was stored: \(place(count, isLines)): must have at most \(IntakeContext.bodyLimit) bytes"
            )
        } catch is Enough {
        }
        if let firstBad {
            throw Problem(.badRequest, "nothing was stored: \(place(firstBad.index, isLines)): \(firstBad.detail)")
                .naming(wrong)
        }
        guard !jobs.isEmpty else { throw Problem(.badRequest, "the batch is empty", [("", "must have a job")]) }
        return jobs
    }

    private static func place(_ index: Int, _ isLines: Bool) -> String {
        isLines ? "line \(index + 1)" : "item \(index)"
    }
}

extension NewJob {
    /// What a client sent of it, about.
    fileprivate var byteCount: Int { key.text.utf8.count + value.utf8.count + (metadata?.utf8.count ?? 0) }
}
