import ArgumentParser
import Holdfast
import Postgres

/// Waits until jobs have finished.
struct JobWait {
    /// How jobs have ended, or that they have not.
    struct Report: Encodable {
        var succeeded = 0
        var failed: [Int64] = []
        var cancelled: [Int64] = []
        /// Those that are not there.
        var missing: [Int64] = []
        var unfinished: [Int64] = []

        var isSuccess: Bool { failed.isEmpty && cancelled.isEmpty && missing.isEmpty }

        /// In words, on standard error.
        func tell() {
            func listed(_ ids: [Int64]) -> String {
                let shown = ids.prefix(20).map(String.init).joined(separator: ", ")
                return ids.count > 20 ? "\(shown), …" : shown
            }
            var parts = ["\(succeeded) succeeded"]
            for (name, ids) in [
                ("failed", failed), ("cancelled", cancelled), ("not there", missing), ("not finished", unfinished),
            ] where !ids.isEmpty {
                parts.append("\(ids.count) \(name): \(listed(ids))")
            }
            Progress(isQuiet: false).say(parts.joined(separator: "; "))
        }
    }

    private static let shortPause: Duration = .milliseconds(200)
    private static let longPause: Duration = .seconds(1)
    /// Of more jobs than these it asks less often.
    private static let fewJobs = 10_000

    let store: JobStore
    /// In seconds; `nil` waits without end.
    let timeout: Int?

    static func validate(_ timeout: Int?) throws {
        guard !(0...31_536_000).contains(timeout ?? 0) else { return }
        throw ValidationError("--timeout must be from 0 to 31536000 seconds.")
    }

    /// Waits for jobs.
    ///
    /// - Parameters:
    ///   - ids: Their numbers.
    ///   - isQuiet: Whether no progress is shown.
    ///   - onEnd: Told how they ended.
    /// - Throws: ``ExitCodes``: unless all succeeded.
    func wait(
        for ids: [JobID],
        isQuiet: Bool = false,
        onEnd: (Report) async throws -> Void
    ) async throws {
        let end = timeout.map { ContinuousClock.now + .seconds($0) }
        var left = Set(ids)
        let total = left.count
        var report = Report()
        var progress = ProgressBar("jobs finished", isQuiet: isQuiet)
        while true {
            let finished = try await store.finished(of: Array(left))
            let states = try await store.outcomes(of: finished)
            left.subtract(finished)
            for id in finished.sorted(by: { $0.rawValue < $1.rawValue }) {
                switch states[id] {
                case .succeeded: report.succeeded += 1
                case .failed: report.failed.append(id.rawValue)
                case .cancelled: report.cancelled.append(id.rawValue)
                // Between the two looks an operator had it run again.
                case nil where try await store.find(id) != nil: left.insert(id)
                default: report.missing.append(id.rawValue)
                }
            }
            let isOver = left.isEmpty || end.map { ContinuousClock.now >= $0 } ?? false
            let part = Double(total - left.count) / Double(max(total, 1))
            let detail = report.failed.isEmpty ? "" : "\(report.failed.count) failed"
            guard !isOver else {
                progress.end(total - left.count, part, detail)
                break
            }
            progress.show(total - left.count, part, detail)
            try await pause(left.count, until: end)
        }
        report.unfinished = left.map(\.rawValue).sorted()
        try await onEnd(report)
        guard left.isEmpty else { throw ExitCodes.timeout }
        guard report.isSuccess else { throw ExitCodes.failure }
    }

    /// Waits until no job is unfinished.
    ///
    /// - Parameters:
    ///   - queue: Only in this queue.
    ///   - key: Only of this key.
    ///   - isQuiet: Whether no progress is shown.
    ///   - onEnd: Told how many ended since it began to wait, by state, and how many are left.
    /// - Throws: ``ExitCodes``: unless all of those succeeded.
    func waitForAll(
        in queue: String?,
        of key: String?,
        isQuiet: Bool,
        onEnd: ([Job.State: Int], _ left: Int) throws -> Void
    ) async throws {
        let end = timeout.map { ContinuousClock.now + .seconds($0) }
        var progress = ProgressBar("jobs finished", isQuiet: isQuiet)
        let (first, begun) = try await store.unfinished(in: queue, of: key)
        var left = first
        var most = first
        while left > 0, end.map({ ContinuousClock.now < $0 }) ?? true {
            progress.show(most - left, Double(most - left) / Double(max(most, 1)), "\(left) left")
            try await pause(left, until: end)
            left = try await store.unfinished(in: queue, of: key).count
            most = max(most, left)
        }
        progress.end(most - left, Double(most - left) / Double(max(most, 1)))
        let counts = try await store.finished(since: begun, in: queue, of: key)
        try onEnd(counts, left)
        guard left == 0 else { throw ExitCodes.timeout }
        guard counts[.failed, default: 0] + counts[.cancelled, default: 0] == 0 else { throw ExitCodes.failure }
    }

    private func pause(_ left: Int, until end: ContinuousClock.Instant?) async throws {
        let next = ContinuousClock.now + (left > Self.fewJobs ? Self.longPause : Self.shortPause)
        try await Task.sleep(until: min(next, end ?? next), clock: .continuous)
    }
}
