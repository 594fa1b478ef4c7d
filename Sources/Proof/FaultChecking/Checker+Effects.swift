extension Checker {
    /// What took effect did so under rising fences, and under a hold that is on record.
    func effects() -> [Violation] {
        var violations: [Violation] = []
        let holds = Dictionary(evidence.permits.map { ($0.fence, $0) }) { first, _ in first }
        let jobs = Dictionary(evidence.finished.map { ($0.id, $0) }) { first, _ in first }
        var highest: [String: Int64] = [:]
        for write in evidence.writes {
            if let before = highest[write.key], write.fence < before {
                violations.append(
                    Violation(
                        .staleEffect,
                        "\(write.key) = \(write.value) was written under \(write.fence) after \(before)"
                    )
                )
            }
            highest[write.key] = max(highest[write.key] ?? .min, write.fence)
            guard let hold = holds[write.fence], hold.key == write.key else {
                violations.append(
                    Violation(.unrecorded, "\(write.key) = \(write.value) under \(write.fence) has no hold")
                )
                continue
            }
            if let job = jobs[hold.job], job.value != write.value {
                violations.append(
                    Violation(.unrecorded, "\(write.value) was written under \(write.fence), the hold of job \(job.id)")
                )
            }
        }
        for event in evidence.trace where event.kind == .begun && holds[event.fence]?.job != event.job {
            violations.append(Violation(.unrecorded, "job \(event.job) began under \(event.fence), which has no hold"))
        }
        return violations
    }

    /// A worker whose line was put back changes nothing of it any more.
    func settlements() -> [Violation] {
        evidence.lateSettlements.filter { !$0.wasRefused }.map { late in
            Violation(.lateSettlement, "job \(late.job) was settled under \(late.fence), which had been put back")
        }
    }

    /// A job that succeeded had written and ended under the last of its holds.
    func proofs() -> [Violation] {
        var violations: [Violation] = []
        let written = Set(evidence.writes.map { "\($0.fence) \($0.value)" })
        let ended = Set(evidence.trace.filter { $0.kind == .ended }.map(\.fence))
        var lastHold: [Int64: Int64] = [:]
        for hold in evidence.holds { lastHold[hold.job] = max(lastHold[hold.job] ?? .min, hold.fence) }
        for job in evidence.finished where job.state == "succeeded" {
            guard let fence = job.fence else {
                violations.append(Violation(.unproved, "job \(job.id) has no fence"))
                continue
            }
            if lastHold[job.id] != fence {
                let last = lastHold[job.id].map(String.init) ?? "none"
                violations.append(
                    Violation(.unproved, "job \(job.id) succeeded under \(fence), its last hold is \(last)")
                )
            }
            if !written.contains("\(fence) \(job.value)") {
                violations.append(Violation(.unproved, "job \(job.id) wrote nothing under \(fence)"))
            }
            if !ended.contains(fence) {
                violations.append(Violation(.unproved, "the task of job \(job.id) did not end under \(fence)"))
            }
        }
        return violations
    }
}
