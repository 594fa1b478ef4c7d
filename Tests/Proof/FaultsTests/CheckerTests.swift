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
        #expect(rules { $0.holds.removeFirst() }.contains(.unrecorded))
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
