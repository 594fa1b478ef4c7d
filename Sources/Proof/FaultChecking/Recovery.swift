/// How long the system took to serve again after each fault.
package struct Recovery: Sendable {
    /// For each fault, in its order, in nanoseconds; `nil` where the run ended first.
    package let times: [Int64?]

    /// A fault is over when a job that was accepted after it has run, and so have those that it interrupted.
    package init(_ evidence: Evidence) {
        var endOfJob: [Int64: Int64] = [:]
        for event in evidence.trace where event.kind == .ended {
            endOfJob[event.job] = max(endOfJob[event.job] ?? .min, event.atNanoseconds)
        }
        let accepted = evidence.submissions.compactMap { submission -> (at: Int64, end: Int64)? in
            guard case .accepted(let job) = submission.answer, let end = endOfJob[job] else { return nil }
            return (submission.answeredAtNanoseconds, end)
        }
        let tasks = Dictionary(grouping: evidence.trace, by: \.fence)
        times = evidence.faults.map { fault in
            let next = accepted.filter { $0.at >= fault.untilNanoseconds }.map(\.end).min()
            guard let next else { return nil }
            let interrupted = tasks.values.compactMap { lines -> Int64? in
                guard let process = fault.process, lines[0].process == process,
                    lines.contains(where: { $0.atNanoseconds < fault.fromNanoseconds }),
                    !lines.contains(where: { $0.kind == .ended && $0.atNanoseconds < fault.fromNanoseconds })
                else { return nil }
                return endOfJob[lines[0].job]
            }
            // Counted from the fault's beginning where something was interrupted: that is when it began to wait.
            let rescued = interrupted.max().map { $0 - fault.fromNanoseconds }
            return max(next - fault.untilNanoseconds, rescued ?? 0)
        }
    }

    /// The time that half of the faults took at most, and the longest; `nil` when there were none.
    package var summary: (median: Int64, longest: Int64)? {
        let sorted = times.compactMap(\.self).sorted()
        guard let longest = sorted.last else { return nil }
        return (sorted[sorted.count / 2], longest)
    }
}
