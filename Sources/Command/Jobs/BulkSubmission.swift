import Holdfast
import Intake
import Postgres
import Redlock

/// Stores the jobs of a file, batch by batch, in the file's order.
struct BulkSubmission {
    /// Where it could not go on.
    struct Stopped: Error, CustomStringConvertible { let description: String }

    /// The most jobs in one batch, and the bytes of their keys and values.
    private static let batchJobs = 1000
    private static let batchBytes = 4 << 20

    private let submissions: Submissions
    private let wakeups: Wakeups
    private let fromLine: Int
    private var waiting: [(line: Int, job: NewJob)] = []
    private var stored = 0
    private var progress = ProgressBar("jobs")

    init(submissions: Submissions, wakeups: Wakeups, fromLine: Int) {
        self.submissions = submissions
        self.wakeups = wakeups
        self.fromLine = fromLine
    }

    /// Submits them.
    ///
    /// - Parameters:
    ///   - file: NDJSON.
    ///   - onStored: Told of each batch, once it is stored.
    /// - Returns: How many there were.
    /// - Throws: ``Stopped``, which says what is stored and where to go on.
    mutating func submit(
        _ file: InputFile,
        onStored: ([NewJob], [JobReceipt]) throws -> Void
    ) async throws -> Int {
        var lines = JobLines()
        var read = 0
        defer { progress.end(stored, 1) }
        while true {
            let piece = try await file.next()
            read += piece.count
            let bad: JobLines.Bad? = take(piece, &lines)
            while waiting.count >= Self.batchJobs || (bad != nil || piece.isEmpty) && !waiting.isEmpty {
                try await submitBatch(onStored)
                progress.show(stored, part(read, of: file.size))
            }
            if let bad {
                throw Stopped(
                    description: "\(bad). What is before it is stored: mend it, and go on with --from-line \(bad.line)."
                )
            }
            if piece.isEmpty { return stored }
        }
    }

    /// How much of the file is stored, about.
    private func part(_ read: Int, of size: Int?) -> Double? {
        guard let size else { return nil }
        let known = max(1, stored + waiting.count)
        return min(1, Double(read) / Double(max(1, size)) * Double(stored) / Double(known))
    }

    /// - Returns: The first line that is no job.
    private mutating func take(_ piece: [UInt8], _ lines: inout JobLines) -> JobLines.Bad? {
        var taken: [(Int, NewJob)] = []
        defer { waiting += taken }
        do {
            let each = { (line: Int, job: NewJob?) in
                if let job, line >= fromLine { taken.append((line, job)) }
            }
            if piece.isEmpty { try lines.finish(each) } else { try lines.add(piece, each) }
            return nil
        } catch {
            // It throws nothing else.
            return error as? JobLines.Bad
        }
    }

    private mutating func submitBatch(_ onStored: ([NewJob], [JobReceipt]) throws -> Void) async throws {
        var bytes = 0
        var count = 0
        for (_, job) in waiting.prefix(Self.batchJobs) {
            bytes += job.key.text.utf8.count + job.value.utf8.count
            guard count == 0 || bytes <= Self.batchBytes else { break }
            count += 1
        }
        let batch = waiting.prefix(count)
        let jobs = batch.map(\.job)
        let goOn = "go on with --from-line \(batch[batch.startIndex].line)"
        let receipts: [JobReceipt]
        do {
            receipts = try await submissions.submitWhole(jobs)
        } catch let refusal as BatchRefusal {
            let line = batch[batch.startIndex + refusal.index].line
            throw Stopped(description: "line \(line): \(refusal.refusal). To try again, \(goOn).")
        } catch let error as PostgresError where error.code == .connectionLost || error.code == .deadline {
            let lines = "lines \(batch[batch.startIndex].line) to \(batch.last?.line ?? 0)"
            throw Stopped(
                description: """
                    \(error). Whether \(lines) are stored is not known; what is before them is. If they have idempotency \
                    keys, \(goOn).
                    """
            )
        } catch {
            throw Stopped(description: "\(error). To try again, \(goOn).")
        }
        await wakeups.flush()
        waiting.removeFirst(count)
        stored += receipts.count
        try onStored(jobs, receipts)
    }
}
