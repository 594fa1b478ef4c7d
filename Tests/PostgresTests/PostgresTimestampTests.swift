import Postgres
import Testing

struct PostgresTimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (946_684_800_000_000, "2000-01-01T00:00:00.000000Z"),
        (951_782_399_000_001, "2000-02-28T23:59:59.000001Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        (-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ])
    func `an instant is formatted in UTC and read back`(microseconds: Int64, text: String) {
        #expect(PostgresTimestamp(microseconds: microseconds).description == text)
        #expect(PostgresTimestamp(rfc3339: text)?.microseconds == microseconds)
    }

    @Test func `milliseconds cut off what is finer`() {
        #expect(PostgresTimestamp(microseconds: 1_999).rfc3339(.milliseconds) == "1970-01-01T00:00:00.001Z")
        #expect(PostgresTimestamp(microseconds: -1).rfc3339(.milliseconds) == "1969-12-31T23:59:59.999Z")
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.5z", 500_000),
        ("1970-01-01 00:00:00.1234569Z", 123_456),
        ("1970-01-01T01:30:00+01:30", 0),
        ("1969-12-31T19:00:00-05:00", 0),
        ("1998-12-31T23:59:60Z", 915_148_800_000_000),
    ])
    func `every form of RFC 3339 is read`(text: String, microseconds: Int64) {
        #expect(PostgresTimestamp(rfc3339: text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "now", "1970-01-01", "1970-01-01T00:00:00", "1970-1-01T00:00:00Z", "1970-13-01T00:00:00Z",
        "1970-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "1970-01-00T00:00:00Z", "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00Z ",
        "1970-01-01T00:00:00+0100", "1970-01-01T00:00:00+24:00", "+970-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01",
    ])
    func `anything else is not`(text: String) {
        #expect(PostgresTimestamp(rfc3339: text) == nil)
    }

    @Test func `durations carry it on and lie between two`() {
        let start = PostgresTimestamp(microseconds: 5)
        #expect(start.advanced(by: .milliseconds(-1)).microseconds == -995)
        #expect(start.duration(to: PostgresTimestamp(microseconds: 8)) == .microseconds(3))
        #expect(PostgresTimestamp.negativeInfinity < start && start < .infinity)
    }

    @Test func `nothing that it is asked to count overflows`() {
        let longest = Duration(secondsComponent: .max, attosecondsComponent: 0)
        let ends: [PostgresTimestamp] = [.infinity, .negativeInfinity]
        for end in ends {
            for step in [longest, .zero - longest, .seconds(1)] { #expect(end.advanced(by: step) == end) }
        }
        let (first, last) = (PostgresTimestamp(microseconds: .min + 1), PostgresTimestamp(microseconds: .max - 1))
        #expect(first.advanced(by: .seconds(-1)) == .negativeInfinity && last.advanced(by: .seconds(1)) == .infinity)
        #expect(first.advanced(by: .zero - longest) == .negativeInfinity && last.advanced(by: longest) == .infinity)
        #expect(first.duration(to: last) == .microseconds(Int64.max))
        #expect(last.duration(to: first) == .microseconds(Int64.min))
    }

    @Test func `a time of the server's that is too late to be counted is infinite`() async throws {
        let rows = try await connect().execute(
            Statement(
                "select '294276-12-31 00:00Z'::timestamptz, '-infinity'::timestamptz, '4713-01-01 00:00Z BC'::timestamptz"
            )
        )
        #expect(try rows[0].decode(PostgresTimestamp.self, at: 0) == .infinity)
        #expect(try rows[0].decode(PostgresTimestamp.self, at: 1) == .negativeInfinity)
        #expect(try rows[0].decode(PostgresTimestamp.self, at: 2) < PostgresTimestamp(microseconds: 0))
    }
}
