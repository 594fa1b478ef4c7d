import FaultChecking

/// What a run is summed up in.
struct Report {
    /// What the line begins with that names the broken rules.
    static let brokenLabel = "broken rules   "

    private let evidence: Evidence
    private let violations: [Violation]

    init(_ evidence: Evidence) {
        self.evidence = evidence
        violations = Checker(evidence).violations()
    }

    /// Prints it.
    ///
    /// - Returns: Whether all checks passed.
    func print() -> Bool {
        let recovery = Recovery(evidence)
        let kinds = Dictionary(grouping: zip(evidence.faults, recovery.times), by: \.0.kind)
        let list = kinds.sorted { $0.key < $1.key }.map { kind, faults in
            let times = faults.compactMap(\.1).sorted()
            guard let longest = times.last else { return "\(kind) \(faults.count)" }
            return "\(kind) \(faults.count) (\(seconds(times[times.count / 2])), \(seconds(longest)) s)"
        }
        say("faults         \(evidence.faults.count), with recovery, p50 and max: \(list.joined(separator: ", "))")
        let answers = evidence.submissions.map(\.answer)
        let inDoubt = answers.count { $0 == .inDoubt }
        let refused = answers.count { $0 == .refused }
        say("jobs           \(answers.count - inDoubt - refused) accepted, \(refused) refused, \(inDoubt) in doubt")
        let failed = evidence.finished.filter { $0.state != "succeeded" }
        say("finished       \(evidence.finished.count), of them \(failed.count) without success")
        for job in failed.prefix(5) { say("               job \(job.id): \(job.error ?? job.state)") }
        let refusals = evidence.trace.count { $0.kind == .refused }
        let outages = evidence.ends.count { $0.outcome == "outage" }
        say("outages        \(outages) attempts put off, \(evidence.rescues.count) lines rescued")
        say(
            "attempts       \(evidence.holds.count), writes \(evidence.writes.count), stale writes turned away \(refusals)"
        )
        say("foreign locks  \(evidence.foreignHolds.count)")
        if let recovery = recovery.summary {
            say("recovery       p50 \(seconds(recovery.median)) s, max \(seconds(recovery.longest)) s")
        }
        let counts = [("lost", Violation.Rule.lost), ("overlaps", .overlap), ("stale effects", .staleEffect)]
        say("violations     \(counts.map { "\($0) \(count($1))" }.joined(separator: ", ")), in all \(violations.count)")
        let broken = Violation.Rule.allCases.filter { count($0) > 0 }
        if !broken.isEmpty { say("\(Self.brokenLabel)\(broken.map { "\($0)" }.joined(separator: ", "))") }
        for violation in violations.prefix(20) { say("  \(violation)") }
        say(violations.isEmpty ? "All \(Violation.Rule.allCases.count) checks passed." : "Checks failed.")
        return violations.isEmpty
    }

    private func say(_ text: String) { Swift.print(text) }

    private func count(_ rule: Violation.Rule) -> Int { violations.count { $0.rule == rule } }

    private func seconds(_ nanoseconds: Int64) -> Double { (Double(nanoseconds) / 1e8).rounded() / 10 }
}
