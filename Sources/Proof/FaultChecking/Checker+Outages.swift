extension Checker {
    /// For how long before a rescue a fault may have kept a worker from its heartbeats.
    private static let reach: Int64 = 60_000_000_000
    /// How late a vote is recorded at most, and how long a node takes to begin and end to answer with errors.
    private static let voteMargin: Int64 = 300_000_000

    /// A worker is given up only when something was done to it, or to its way to the database.
    ///
    /// That the database was away is no reason: it was away for all of them.
    func rescues() -> [Violation] {
        evidence.rescues.compactMap { rescue in
            // Of a worker that lived for a moment, it is not known which process it was.
            guard let worker = evidence.workers[rescue.worker] else { return nil }
            let parts = worker.split(separator: "/").map(String.init)
            let at = evidence.monotonic(rescue.at)
            let hasReason = evidence.faults.contains { fault in
                guard
                    evidence.isClockStepped || fault.fromNanoseconds < at && fault.untilNanoseconds > at - Self.reach
                else { return false }
                if let process = fault.process, parts.count > 1, parts[1] == "\(process)" { return true }
                return fault.target == "\(parts[0]) to PostgreSQL"
                    || fault.kind == "crash-loop" && fault.target == parts[0]
            }
            if hasReason { return nil }
            return Violation(.livesOn, "on \(rescue.key), a line of worker \(rescue.worker) (\(worker)) was put back")
        }
    }

    /// An attempt counts when its task had begun, and the job, its task or its worker ended it; no task fails by itself.
    func attempts() -> [Violation] {
        let begun = Set(evidence.trace.filter { $0.kind == .begun }.map(\.fence))
        var counted: [Int64: Int] = [:]
        for end in evidence.ends where begun.contains(end.fence) {
            if ["failed", "lost", "overrun", "refused"].contains(end.outcome) { counted[end.job, default: 0] += 1 }
        }
        for rescue in evidence.rescues { if let job = rescue.job { counted[job, default: 0] += 1 } }
        return evidence.finished.flatMap { job -> [Violation] in
            var violations: [Violation] = []
            if job.state == "failed" {
                violations.append(Violation(.attempts, "job \(job.id) failed: \(job.error ?? "for no reason")"))
            }
            let before = job.attempts - 1
            if job.state == "succeeded", before > counted[job.id, default: 0] {
                let detail = "job \(job.id) has used up \(before), and \(counted[job.id, default: 0]) went wrong"
                violations.append(Violation(.attempts, detail))
            }
            return violations
        }
    }

    /// Whoever answers with an error has not granted a lock.
    func votes() -> [Violation] {
        guard !evidence.isClockStepped else { return [] }
        return evidence.votes.compactMap { vote in
            let at = evidence.monotonic(vote.at)
            let node = evidence.nodeNames[vote.node]
            let wasWrong = evidence.nodeErrors.contains {
                $0.node == node && at > $0.fromNanoseconds + Self.voteMargin
                    && at < $0.untilNanoseconds - Self.voteMargin
            }
            return wasWrong ? Violation(.votes, "\(node ?? vote.node) voted for \(vote.fence) while it did") : nil
        }
    }

    /// What an attempt leaves behind is bounded, and so is how long a hold serves others; the audit finds nothing.
    func history() -> [Violation] {
        evidence.longHistories.map {
            Violation(.history, "job \($0.job) has \($0.rows) under \($0.fence)")
        }
            + (evidence.isClockStepped ? [] : evidence.longSlices).map {
                Violation(.slice, "on \($0.key), \($0.late) jobs began late under the hold of \($0.fence)")
            }
            + evidence.findings.filter { !$0.isOfTime || !evidence.isClockStepped }.map {
                Violation(.audit, "\($0.check): \($0.line)")
            }
    }
}
