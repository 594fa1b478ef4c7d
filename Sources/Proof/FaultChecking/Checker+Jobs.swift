extension Checker {
    /// Nothing is lost, nothing is there twice, nothing was made up.
    func finishedOnce() -> [Violation] {
        var violations: [Violation] = []
        let finished = Dictionary(grouping: evidence.finished, by: \.id)
        let unfinished = Set(evidence.unfinished)
        for (id, rows) in finished where rows.count > 1 || unfinished.contains(id) {
            violations.append(
                Violation(.twice, "job \(id) is there \(rows.count + (unfinished.contains(id) ? 1 : 0)) times")
            )
        }
        for submission in evidence.submissions {
            guard case .accepted(let job) = submission.answer else { continue }
            guard let row = finished[job]?.first else {
                let state = unfinished.contains(job) ? "unfinished" : "gone"
                violations.append(Violation(.lost, "job \(job) (\(submission.key) = \(submission.value)) is \(state)"))
                continue
            }
            if row.key != submission.key || row.value != submission.value {
                violations.append(
                    Violation(.lost, "job \(job) is not the one that was sent: \(row.key) = \(row.value)")
                )
            }
        }
        let sent = Dictionary(grouping: evidence.submissions, by: \.value)
        for (value, rows) in Dictionary(grouping: evidence.finished, by: \.value) {
            guard let submission = sent[value]?.first else {
                violations.append(Violation(.invented, "job \(rows[0].id) (\(value)) was never sent"))
                continue
            }
            if submission.answer == .refused {
                violations.append(Violation(.invented, "job \(rows[0].id) (\(value)) was refused"))
            }
            if rows.count > 1, Set(rows.map(\.id)).count > 1 {
                violations.append(Violation(.twice, "\(value) was sent once, and is \(rows.count) jobs"))
            }
        }
        return violations
    }

    /// For each key, who was answered first has the lower number, and took its turn first.
    func inOrder() -> [Violation] {
        var violations: [Violation] = []
        let finished = Dictionary(evidence.finished.map { ($0.id, $0) }) { first, _ in first }
        for (key, accepted) in acceptedByKey {
            for (earlier, later) in zip(accepted, accepted.dropFirst()) {
                guard earlier.job < later.job else {
                    violations.append(Violation(.order, "on \(key), job \(earlier.job) was sent before \(later.job)"))
                    continue
                }
                guard let first = finished[earlier.job]?.fence, let second = finished[later.job]?.fence else {
                    continue
                }
                if first > second {
                    violations.append(
                        Violation(
                            .order,
                            "on \(key), job \(earlier.job) ended under \(first), \(later.job) under \(second)"
                        )
                    )
                }
            }
        }
        return violations
    }

    /// The key's value is that of its last job that succeeded, and its last accepted one was not passed over.
    func lastWins() -> [Violation] {
        var violations: [Violation] = []
        for (key, rows) in Dictionary(grouping: evidence.finished.filter { $0.state == "succeeded" }, by: \.key) {
            guard let last = rows.max(by: { $0.id < $1.id }) else { continue }
            let value = evidence.values[key]
            if value != last.value {
                violations.append(
                    Violation(.lastWins, "\(key) is \(value ?? "nothing"), and job \(last.id) wrote \(last.value)")
                )
            }
        }
        return violations
    }
}
