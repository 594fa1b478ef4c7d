import Holdfast
import Hummingbird
import NIOCore
import Synchronization

/// `POST /v1/jobs/batch`: many jobs, all or none.
struct BatchRoutes: Sendable {
    /// The most jobs in a batch.
    static let jobLimit = 10_000
    /// The most bytes of a batch.
    static let byteLimit = 64 << 20
    /// The most fields that an answer names.
    private static let errorLimit = 100
    /// The most batches at once: each may be as large as a batch may be.
    private static let batchLimit = 4

    let submissions: Submissions
    private let slots = Slots(Self.batchLimit)

    init(submissions: Submissions) { self.submissions = submissions }

    func add(submit: some RouterMethods<IntakeContext>) {
        submit.post("v1/jobs/batch") { request, _ in
            guard request.headers[IdempotencyKey.field] == nil else {
                throw InvalidField("Idempotency-Key", "is not taken by a batch; give each job its idempotencyKey")
            }
            guard slots.take() else {
                throw Problem(.serviceUnavailable, "other batches are being stored; try again later", retryAfter: 1)
            }
            defer { slots.giveBack() }
            let jobs = try await Self.read(request)
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

    /// Reads a batch as it comes in; what is wrong with any of its jobs is told of all.
    private static func read(_ request: Request) async throws -> [NewJob] {
        let isLines = request.mediaType == "application/x-ndjson"
        var jobs: [NewJob] = []
        var wrong: [(pointer: String, detail: String)] = []
        var firstBad: (index: Int, detail: String)?
        var splitter = ItemSplitter(isLines ? .lines : .array)
        var count = 0
        let take = { (item: [UInt8]) in
            defer { count += 1 }
            guard count < jobLimit else {
                throw Problem(.badRequest, "a batch has at most \(jobLimit) jobs", [("", "is too long")])
            }
            var fields: [(pointer: String, detail: String)] = []
            do {
                jobs.append(
                    try NewJobReader.read(
                        try JSONFields.parse(item),
                        traceparent: request.traceparent,
                        hasIdempotencyKey: true
                    )
                )
            } catch let invalid as InvalidSubmission {
                fields = invalid.fields.map { (Problem.pointer(count, $0.name), $0.description) }
            } catch is Problem {
                fields = [(Problem.pointer(count, ""), "must be a JSON object")]
            }
            guard !fields.isEmpty else { return }
            firstBad = firstBad ?? (count, fields.map(\.detail).joined(separator: "; "))
            // What comes after so many is not looked at.
            wrong += fields.prefix(errorLimit - wrong.count)
            jobs = []
        }
        do {
            try await request.forEachPiece(upTo: byteLimit, types: ["application/json", "application/x-ndjson"]) {
                try splitter.add($0.readableBytesView, take)
            }
            try splitter.finish(take)
        } catch is ItemSplitter.Failure {
            throw Problem(.badRequest, "the body is not a JSON array", [("", "must be a JSON array of jobs")])
        }
        if let firstBad {
            let place = isLines ? "line \(firstBad.index + 1)" : "item \(firstBad.index)"
            throw Problem(.badRequest, "nothing was stored: \(place): \(firstBad.detail)").naming(wrong)
        }
        guard !jobs.isEmpty else { throw Problem(.badRequest, "the batch is empty", [("", "must have a job")]) }
        return jobs
    }
}

/// How many may be at something at once.
private final class Slots: Sendable {
    private let free: Mutex<Int>

    init(_ count: Int) { free = Mutex(count) }

    func take() -> Bool {
        free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
    }

    func giveBack() { free.withLock { $0 += 1 } }
}
