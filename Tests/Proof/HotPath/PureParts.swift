import Holdfast
import Intake
import Postgres
import Redis
import Redlock

extension HotPath {
    /// What is done to a job without a word to anybody.
    static func runPureParts() throws {
        try measure("read a submission") { count in
            for number in 0..<count { _ = try JobJSON.job(Array(line(number).utf8)) }
        }
        try measure("read a line of a batch") { count in
            var lines = JobLines()
            try lines.add(Array((0..<count).map { line($0) + "\n" }.joined().utf8)) { _, _ in }
        }
        try measure("write a job's JSON") { count in
            let job = try NewJob(key: "invoice:1", value: "value")
            for number in 0..<count {
                _ = JobJSON.text(of: Job(job, JobReceipt(id: JobID(Int64(1000 + number)), submittedAt: time)))
            }
        }
        try measure("ask a node to lock and to release") { count in
            for number in 0..<count {
                for kind in [LockQuestion.Kind.acquire, .release] {
                    let name = "locks:invoice:\(1000 + number)"
                    _ = LockQuestions([LockQuestion(kind, names: [name], token: token, ttl: .seconds(20))])
                }
            }
        }
        try measure("read a node's answers") { count in
            var parser = ReplyParser()
            for _ in 0..<count {
                parser.append("+OK\r\n:1\r\n".utf8)
                while try parser.next() != nil {}
            }
        }
    }

    /// As long as a worker's.
    static let token = "1234567.3w5e11264sgsf"
    private static let time = PostgresTimestamp(rfc3339: "2026-11-24T08:00:00.123456Z")!  // As the reader has it.

    private static func line(_ number: Int) -> String {
        #"{"key":"invoice:\#(1000 + number)","value":"{\"number\":\#(1000 + number)}","durationMs":0,"priority":3}"#
    }

    private static func measure(_ part: String, _ body: (Int) throws -> Void) throws {
        for count in counts {
            began()
            try body(count)
            ended(part, count)
        }
    }
}
