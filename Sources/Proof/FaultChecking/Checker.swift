/// A rule that the evidence breaks.
package struct Violation: Sendable, Equatable, CustomStringConvertible {
    /// What is verified.
    package enum Rule: String, Sendable, CaseIterable {
        case lost = "every accepted job has finished"
        case twice = "no job has finished twice"
        case invented = "what was refused, or never sent, is not stored"
        case order = "the jobs of a key ran in the order of their submission"
        case lastWins = "a key ends with the value submitted last"
        case staleEffect = "no stale effect took hold"
        case lateSettlement = "who settled too late was refused"
        case fences = "fences rise"
        case unrecorded = "every effect has a record"
        case unproved = "who succeeded had written, had ended, and had the last hold"
        case overlap = "no two holds of a key overlap"
        case atWork = "no task works on under another's hold"
        case open = "every hold has ended, or its validity has"
        case robbed = "no foreign lock was removed"
        case disorder = "the queue is in order"
        case turns = "lines are claimed in the order of their turns"
        case slice = "a hold serves others for no longer than its slice"
        case livesOn = "no worker that lives is given up"
        case attempts = "no attempt counts that was nobody's fault"
        case votes = "no node votes that answers with errors"
        case history = "the history has no more rows than so many for each attempt"
        case audit = "the audit finds nothing"
    }

    package let rule: Rule
    package let detail: String

    package init(_ rule: Rule, _ detail: String) {
        self.rule = rule
        self.detail = detail
    }

    package var description: String { "\(rule): \(rule.rawValue), but \(detail)" }
}

/// Judges a run by its evidence.
///
/// It knows none of the code under test: all it has are the clients' records, the value node's log, the tasks' trace, and
/// the rows.
package struct Checker: Sendable {
    /// How long a task may take to notice that it is cancelled, on a machine that has other things to do.
    package static let grace: Int64 = 400_000_000

    let evidence: Evidence

    package init(_ evidence: Evidence) { self.evidence = evidence }

    /// Every rule that is broken, and by what; none when all promises were kept.
    package func violations() -> [Violation] {
        finishedOnce() + inOrder() + lastWins() + effects() + proofs() + settlements() + holds() + atWork()
            + foreign() + rescues() + attempts() + votes() + history()
            + evidence.problems.map { Violation(.disorder, $0) }
    }

    /// A key's submissions that were accepted, in the order of sending.
    var acceptedByKey: [String: [(submission: Submission, job: Int64)]] {
        var accepted: [String: [(submission: Submission, job: Int64)]] = [:]
        for submission in evidence.submissions {
            guard case .accepted(let job) = submission.answer else { continue }
            accepted[submission.key, default: []].append((submission, job))
        }
        return accepted
    }
}
