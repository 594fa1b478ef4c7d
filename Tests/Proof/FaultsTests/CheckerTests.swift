import FaultChecking
import Testing

struct CheckerTests {
    /// A run of two jobs on one key in which all went well; rules are broken one by one from here.
    private static let sound: Evidence = {
        var evidence = Evidence()
        evidence.submissions = [
            Submission(key: "k", value: "a", answer: .accepted(1)), Submission(key: "k", value: "x", answer: .refused),
            Submission(key: "k", value: "b", answer: .accepted(2)), Submission(key: "k", value: "y", answer: .inDoubt),
        ]
        evidence.finished = [
            FinishedJob(id: 1, key: "k", value: "a", state: "succeeded", fence: 10),
            FinishedJob(id: 2, key: "k", value: "b", state: "succeeded", fence: 20),
        ]
        evidence.holds = [
            RecordedHold(key: "k", job: 1, fence: 10, acquiredAt: 100, endedAt: 200, validUntil: 2000),
            RecordedHold(key: "k", job: 2, fence: 20, acquiredAt: 300, endedAt: 400, validUntil: 2300),
        ]
        evidence.permits = [Permit(key: "k", job: 1, fence: 10), Permit(key: "k", job: 2, fence: 20)]
        evidence.writes = [ValueWrite(key: "k", value: "a", fence: 10), ValueWrite(key: "k", value: "b", fence: 20)]
        evidence.values = ["k": "b"]
        evidence.trace = task(job: 1, fence: 10, from: 0) + task(job: 2, fence: 20, from: 10)
        evidence.readAt = 10_000
        return evidence
    }()

    /// A task's lines, each 100 ms, from so many tenths of a second on.
    private static func task(job: Int64, fence: Int64, from: Int64, tenths: Int64 = 5, process: Int32 = 1)
        -> [TraceEvent]
    {
        (from...from + tenths).map { tenth in
            let kind: TraceEvent.Kind = tenth == from ? .begun : tenth == from + tenths ? .ended : .worked
            return TraceEvent(
                kind,
                process: process,
                job: job,
                fence: fence,
                atNanoseconds: tenth * 100_000_000,
                key: "k"
            )
        }
    }

    private func rules(_ change: (inout Evidence) -> Void) -> Set<Violation.Rule> {
        var evidence = Self.sound
        change(&evidence)
        return Set(Checker(evidence).violations().map(\.rule))
    }

    @Test func `a run in which all went well breaks no rule`() { #expect(rules { _ in } == []) }

    @Test func `an accepted job that is gone is lost, and so is one that has not finished`() {
        #expect(rules { $0.finished.removeFirst() }.contains(.lost))
        #expect(
            rules {
                $0.finished.removeFirst()
                $0.unfinished = [1]
            }.contains(.lost)
        )
        #expect(rules { $0.finished[0].value = "b" }.contains(.lost))
    }

    @Test func `a job that is there twice is found`() {
        #expect(rules { $0.finished.append($0.finished[0]) }.contains(.twice))
        #expect(rules { $0.unfinished = [2] }.contains(.twice))
        #expect(
            rules {
                $0.finished.append(FinishedJob(id: 3, key: "k", value: "b", state: "cancelled", fence: nil))
            }.contains(.twice)
        )
    }

    @Test func `a job that was refused or never sent must not be there`() {
        let invented = { (value: String) in FinishedJob(id: 3, key: "k", value: value, state: "cancelled", fence: nil) }
        #expect(rules { $0.finished.append(invented("x")) } == [.invented])
        #expect(rules { $0.finished.append(invented("nobody's")) } == [.invented])
        #expect(rules { $0.finished.append(invented("y")) } == [])
    }

    @Test func `jobs that change places are found`() {
        #expect(
            rules {
                $0.submissions[0].answer = .accepted(2)
                $0.submissions[2].answer = .accepted(1)
            }.contains(.order)
        )
        #expect(rules { $0.finished[0].fence = 30 }.contains(.order))
    }

    @Test func `another value at the end than the last one is found`() {
        #expect(rules { $0.values["k"] = "a" } == [.lastWins])
        #expect(rules { $0.values = [:] } == [.lastWins])
    }

    @Test func `a write under a lower fence than one before is a stale effect`() {
        #expect(rules { $0.writes.append($0.writes[0]) } == [.staleEffect])
    }

    @Test func `a settlement that came too late is found, unless it was refused`() {
        #expect(rules { $0.lateSettlements = [LateSettlement(job: 1, fence: 5, wasRefused: true)] } == [])
        #expect(
            rules { $0.lateSettlements = [LateSettlement(job: 1, fence: 5, wasRefused: false)] } == [.lateSettlement]
        )
    }

    @Test func `an effect without a hold on record is found`() {
        #expect(rules { $0.permits.removeFirst() }.contains(.unrecorded))
        // Of a shared hold, the attempts that it came to are not all known when its worker died.
        #expect(rules { $0.holds.removeFirst() } == [.unproved])
        #expect(rules { $0.writes.append(ValueWrite(key: "k", value: "a", fence: 21)) } == [.unrecorded])
        #expect(rules { $0.writes.append(ValueWrite(key: "k", value: "a", fence: 20)) } == [.unrecorded])
        #expect(rules { $0.trace += Self.task(job: 1, fence: 25, from: 20) } == [.unrecorded])
    }

    @Test func `a success that was not earned is found`() {
        #expect(rules { $0.writes.removeLast() } == [.unproved])
        #expect(rules { $0.trace.removeLast() } == [.unproved])
        #expect(rules { $0.finished[1].fence = nil }.contains(.unproved))
        // A later attempt was under way when an earlier one settled.
        #expect(
            rules {
                let hold = RecordedHold(key: "k", job: 2, fence: 25, acquiredAt: 500, endedAt: 600, validUntil: 2500)
                $0.holds.append(hold)
            } == [.unproved]
        )
    }

    @Test func `holds that overlap, fences that fall, and a hold without an end are found`() {
        #expect(rules { $0.holds[0].endedAt = 301 } == [.overlap])
        #expect(rules { $0.holds[0].endedAt = nil }.contains(.overlap))
        #expect(
            rules {
                $0.holds[1].acquiredAt = 50
                $0.holds[1].endedAt = 60
            } == [.fences]
        )
        #expect(rules { $0.holds[1].endedAt = nil } == [])
        #expect(
            rules {
                $0.holds[1].endedAt = nil
                $0.readAt = 1000
            } == [.open]
        )
    }

    @Test func `a task that works on under another's hold is found, and one that was frozen is not`() {
        #expect(rules { $0.trace += Self.task(job: 1, fence: 10, from: 1, tenths: 20) } == [.atWork])
        #expect(
            rules {
                let line = TraceEvent(.worked, job: 1, fence: 10, atNanoseconds: 3_000_000_000, key: "k")
                $0.trace.append(line)
            } == []
        )
        let held = ForeignHold(key: "k", fromNanoseconds: -1_000_000_000, untilNanoseconds: 450_000_000, robbedOn: [])
        #expect(rules { $0.foreignHolds = [held] } == [])
        #expect(
            rules {
                $0.foreignHolds = [held]
                $0.foreignHolds[0].untilNanoseconds = 600_000_000
            } == [.atWork]
        )
    }

    @Test func `a foreign lock that was removed, and a queue out of order, are found`() {
        let robbed = ForeignHold(key: "q", fromNanoseconds: 0, untilNanoseconds: 1, robbedOn: ["lock node 1"])
        #expect(rules { $0.foreignHolds = [robbed] } == [.robbed])
        #expect(rules { $0.problems = ["line without jobs: k"] } == [.disorder])
    }

    @Test func `a worker that is given up though nothing was done to it is found`() {
        let given: (inout Evidence) -> Void = {
            $0.rescues = [Rescue(key: "k", job: 1, worker: 5, at: 70_000_000)]
            $0.workers = [5: "worker-1/7"]
        }
        func rules(after faults: InjectedFault...) -> Set<Violation.Rule> {
            self.rules {
                given(&$0)
                $0.faults = faults
            }
        }
        #expect(rules() == [.livesOn])
        // Away for all of them.
        #expect(rules(after: Self.fault("postgres-outage", "PostgreSQL")) == [.livesOn])
        #expect(rules(after: Self.fault("kill-worker", "worker-1", process: 7)) == [])
        #expect(rules(after: Self.fault("kill-worker", "worker-1", process: 8)) == [.livesOn])
        #expect(rules(after: Self.fault("hold-link", "worker-1 to PostgreSQL")) == [])
        #expect(rules(after: Self.fault("hold-link", "worker-2 to PostgreSQL")) == [.livesOn])
        // Over, long before.
        #expect(rules(after: Self.fault("hold-link", "worker-1 to PostgreSQL", from: -20, until: -10)) == [.livesOn])
        #expect(
            self.rules {
                given(&$0)
                $0.workers = [:]
            } == []
        )
    }

    private static func fault(
        _ kind: String,
        _ target: String,
        process: Int32? = nil,
        from: Int64 = 60,
        until: Int64 = 65
    ) -> InjectedFault {
        InjectedFault(
            kind: kind,
            target: target,
            process: process,
            fromNanoseconds: from * 1_000_000_000,
            untilNanoseconds: until * 1_000_000_000
        )
    }

    @Test func `an attempt that counts though nothing of the job's went wrong is found, and so is a job that failed`() {
        let second: (inout Evidence) -> Void = { $0.finished[0].attempts = 2 }
        func rules(_ outcome: String, begun: Bool) -> Set<Violation.Rule> {
            self.rules {
                second(&$0)
                $0.ends = [RecordedEnd(job: 1, fence: 5, outcome: outcome)]
                guard begun else { return }
                $0.permits.append(Permit(key: "k", job: 1, fence: 5))
                $0.trace.append(TraceEvent(.begun, job: 1, fence: 5, atNanoseconds: -1_000_000_000, key: "k"))
            }
        }
        #expect(self.rules(second) == [.attempts])
        #expect(rules("outage", begun: true) == [.attempts])
        #expect(rules("lost", begun: false) == [.attempts])
        #expect(rules("lost", begun: true) == [])
        #expect(
            self.rules {
                second(&$0)
                $0.rescues = [Rescue(key: "k", job: 1, worker: 5, at: 0)]
            } == []
        )
        #expect(
            self.rules { $0.finished.append(FinishedJob(id: 3, key: "k", value: "y", state: "failed", fence: nil)) }
                == [.attempts]
        )
    }

    @Test func `a vote of a node that answers with errors is found`() {
        let window = NodeErrorWindow(node: "lock node 2", fromNanoseconds: 0, untilNanoseconds: 9_000_000_000)
        func rules(at microseconds: Int64, node: String = "a:1") -> Set<Violation.Rule> {
            self.rules {
                $0.nodeErrors = [window]
                $0.nodeNames = ["a:1": "lock node 2", "a:2": "lock node 3"]
                $0.votes = [RecordedVote(node: node, fence: 10, at: microseconds)]
            }
        }
        #expect(rules(at: 5_000_000) == [.votes])
        #expect(rules(at: 5_000_000, node: "a:2") == [])
        #expect(rules(at: 100_000) == [])
        #expect(rules(at: 8_900_000) == [])
    }

    @Test func `a long history, a long slice and what the audit finds are found`() {
        #expect(rules { $0.longHistories = [LongHistory(job: 1, fence: 10, rows: 5)] } == [.history])
        #expect(rules { $0.longSlices = [LongSlice(key: "k", fence: 10, late: 3)] } == [.slice])
        let finding = AuditFinding(check: "seals", line: "seal 1", isOfTime: false)
        let late = AuditFinding(check: "overlaps", line: "key k", isOfTime: true)
        #expect(rules { $0.findings = [finding] } == [.audit])
        #expect(rules { $0.findings = [late] } == [.audit])
        #expect(
            rules {
                $0.findings = [late]
                $0.faults = [Self.fault("postgres-clock", "PostgreSQL")]
            } == []
        )
    }

    @Test func `recovery is counted to the end of what was interrupted, and of what came afterwards`() {
        var evidence = Self.sound
        evidence.submissions[2].answeredAtNanoseconds = 600_000_000
        evidence.faults = [
            InjectedFault(
                kind: "kill-worker",
                target: "worker-1",
                process: 7,
                fromNanoseconds: 500_000_000,
                untilNanoseconds: 550_000_000
            )
        ]
        #expect(Recovery(evidence).times == [950_000_000])
        evidence.trace += Self.task(job: 3, fence: 30, from: 4, tenths: 0, process: 7)
        evidence.trace += Self.task(job: 3, fence: 40, from: 30)
        #expect(Recovery(evidence).times == [3_000_000_000])
        #expect(Recovery(evidence).summary?.longest == 3_000_000_000)
        evidence.submissions[2].answeredAtNanoseconds = 0
        #expect(Recovery(evidence).times == [nil])
    }
}
