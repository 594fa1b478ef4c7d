import Holdfast
import Testing

@Suite(.timeLimit(.minutes(1)))
struct NewJobTests {
    private static let mebibyte = 1 << 20

    @Test(
        arguments: [
            (key: "", value: "v", durationMs: nil, lockTTLMs: nil, field: "key"),
            (key: "locks:k", value: "v", durationMs: nil, lockTTLMs: nil, field: "key"),
            (key: "k", value: "a\0b", durationMs: nil, lockTTLMs: nil, field: "value"),
            (
                key: "k", value: String(repeating: "v", count: mebibyte + 1), durationMs: nil, lockTTLMs: nil,
                field: "value"
            ),
            (key: "k", value: "v", durationMs: -1, lockTTLMs: nil, field: "durationMs"),
            (key: "k", value: "v", durationMs: 86_400_001, lockTTLMs: nil, field: "durationMs"),
            (key: "k", value: "v", durationMs: nil, lockTTLMs: 999, field: "lockTtlMs"),
            (key: "k", value: "v", durationMs: nil, lockTTLMs: 60_001, field: "lockTtlMs"),
        ] as [(key: String, value: String, durationMs: Int64?, lockTTLMs: Int64?, field: String)]
    )
    func `a field out of bounds is refused by its name`(
        key: String,
        value: String,
        durationMs: Int64?,
        lockTTLMs: Int64?,
        field: String
    ) {
        let error = #expect(throws: InvalidField.self) {
            try NewJob(key: key, value: value, durationMs: durationMs, lockTTLMs: lockTTLMs)
        }
        #expect(error?.name == field)
    }

    @Test(
        arguments: [
            (value: "", durationMs: 0, lockTTLMs: 1000),
            (value: String(repeating: "v", count: mebibyte), durationMs: 86_400_000, lockTTLMs: 60_000),
        ] as [(value: String, durationMs: Int64, lockTTLMs: Int64)]
    )
    func `the bounds themselves are accepted`(value: String, durationMs: Int64, lockTTLMs: Int64) throws {
        let job = try NewJob(key: "k", value: value, durationMs: durationMs, lockTTLMs: lockTTLMs)
        #expect(job.value == value)
        #expect(job.duration == .milliseconds(durationMs))
        #expect(job.lockTTL == .milliseconds(lockTTLMs))
    }

    @Test
    func `what is not said is as the seed had it`() throws {
        let job = try NewJob(key: "k", value: "v")
        #expect(job.duration == .seconds(10))
        #expect(job.lockTTL == .seconds(20))
    }
}
