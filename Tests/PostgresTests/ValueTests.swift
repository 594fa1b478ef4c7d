import Postgres
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ValueTests {
    /// Sends a value, and reads it back with whatever the SQL made of it.
    private func roundTrip<Value: PostgresDecodable>(
        _ parameter: Parameter,
        _ sql: String = "select $1 as value",
        as type: Value.Type = Value.self
    ) async throws -> Value? {
        let rows = try await connect().execute(Statement(sql), [parameter])
        return try #require(rows.first).decodeIfPresent(type, named: "value")
    }

    @Test(arguments: ["", "x", "O'Reilly; drop table jobs; --", "\"quoted\" \\ $1", "žluťoučký 🐎 \u{301}", "a\nb\t"])
    func `text comes back as it went`(text: String) async throws {
        #expect(try await roundTrip(.text(text)) == text)
        #expect(try await roundTrip(.text(text), "select $1::varchar as value") == text)
        #expect(try await roundTrip(.text(text), "select to_jsonb($1)#>>'{}' as value") == text)
    }

    @Test(arguments: [0, 1, -1, Int64.max, .min])
    func `integers come back`(number: Int64) async throws {
        #expect(try await roundTrip(.int64(number)) == number)
        #expect(try await roundTrip(.int(Int(number))) == Int(number))
    }

    @Test func `an integer is decoded as any that it fits`() async throws {
        #expect(try await roundTrip(.int32(-7), as: Int64.self) == -7)
        #expect(try await roundTrip(.int32(-7), "select $1::int2 as value", as: Int.self) == -7)
        #expect(try await roundTrip(.int64(-7), as: Int16.self) == -7)
        let error = try await postgresError { _ = try await roundTrip(.int64(1 << 40), as: Int32.self) }
        #expect(error?.code == .decoding)
    }

    @Test(arguments: [0, -0.0, 1.5, .infinity, -.infinity, .leastNonzeroMagnitude])
    func `doubles come back`(number: Double) async throws {
        #expect(try await roundTrip(.double(number), as: Double.self)?.bitPattern == number.bitPattern)
    }

    @Test func `other scalars come back`() async throws {
        #expect(try await roundTrip(.bool(true)) == true)
        #expect(try await roundTrip(.bool(false)) == false)
        #expect(try await roundTrip(.double(.nan), as: Double.self)?.isNaN == true)
        #expect(try await roundTrip(.double(1.5), "select $1::float4 as value") == 1.5)
        #expect(try await roundTrip(.bytes([0, 1, 255]), as: [UInt8].self) == [0, 1, 255])
        #expect(try await roundTrip(.bytes([]), as: [UInt8].self) == [])
        #expect(try await roundTrip(.jsonb(#"{"a": [1, null]}"#)) == #"{"a": [1, null]}"#)
        #expect(try await roundTrip(.jsonb(#"{"a":1}"#), "select $1::json as value") == #"{"a": 1}"#)
    }

    @Test func `NULL of every type comes back as nil`() async throws {
        #expect(try await roundTrip(.text(nil), as: String.self) == nil)
        #expect(try await roundTrip(.int64(nil), as: Int64.self) == nil)
        #expect(try await roundTrip(.int32(nil), as: Int32.self) == nil)
        #expect(try await roundTrip(.bool(nil), as: Bool.self) == nil)
        #expect(try await roundTrip(.double(nil), as: Double.self) == nil)
        #expect(try await roundTrip(.bytes(nil), as: [UInt8].self) == nil)
        #expect(try await roundTrip(.timestamp(nil), as: PostgresTimestamp.self) == nil)
        #expect(try await roundTrip(.jsonb(nil), as: String.self) == nil)
        #expect(try await roundTrip(.null, as: String.self) == nil)
    }

    @Test(arguments: ["2026-11-23T22:23:03.000001Z", "1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z"])
    func `the server reads and writes the same instant`(text: String) async throws {
        let timestamp = try #require(PostgresTimestamp(rfc3339: text))
        #expect(try await roundTrip(.timestamp(timestamp)) == timestamp)
        #expect(try await roundTrip(.text(text), "select $1::timestamptz as value") == timestamp)
        #expect(
            try await roundTrip(
                .timestamp(timestamp),
                #"select to_char($1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as value"#
            ) == text
        )
    }

    @Test func `infinite times come back`() async throws {
        #expect(try await roundTrip(.timestamp(.infinity)) == PostgresTimestamp.infinity)
        #expect(
            try await roundTrip(.text("-infinity"), "select $1::timestamptz as value")
                == PostgresTimestamp.negativeInfinity
        )
    }

    @Test func `arrays come back, empty ones and NULL elements too`() async throws {
        #expect(try await roundTrip(.int64s([]), as: [Int64].self) == [])
        #expect(try await roundTrip(.int64s([1, .min])) == [1, Int64.min])
        #expect(try await roundTrip(.optionalInt64s([1, nil, 3])) == [1, nil, 3] as [Int64?])
        #expect(try await roundTrip(.optionalInt32s([nil])) == [nil] as [Int32?])
        #expect(try await roundTrip(.int32s([1, -1])) == [1, -1] as [Int32])
        #expect(try await roundTrip(.bools([true, false])) == [true, false])
        #expect(try await roundTrip(.doubles([0.5, -.infinity])) == [0.5, -.infinity])
        #expect(try await roundTrip(.optionalDoubles([0.5, nil])) == [0.5, nil] as [Double?])
        #expect(try await roundTrip(.texts([])) == [] as [String])
        #expect(try await roundTrip(.texts(["", "a,b", "{}", "🐎"])) == ["", "a,b", "{}", "🐎"])
        #expect(try await roundTrip(.optionalTexts(["", nil, "NULL"])) == ["", nil, "NULL"] as [String?])
        #expect(try await roundTrip(.jsonbs(["1", nil])) == ["1", nil] as [String?])
        let times = [PostgresTimestamp(microseconds: 0), .infinity]
        #expect(try await roundTrip(.timestamps(times)) == times)
        #expect(try await roundTrip(.optionalTimestamps([nil] + times)) == [nil] + times)
    }

    @Test func `what does not fit is a decoding error that names the column`() async throws {
        let row = try #require(
            try await connect().execute(
                Statement("select 1 as one, null::text as none, array[null]::int8[] as holes, 1.5 as numeric")
            ).first
        )
        let wrong: [() throws -> Void] = [
            { _ = try row.decode(String.self, named: "one") },
            { _ = try row.decode(String.self, named: "none") },
            { _ = try row.decode([Int64].self, named: "holes") },
            { _ = try row.decode(Int.self, named: "numeric") },
            { _ = try row.decode([Int64].self, named: "one") },
        ]
        for (decode, column) in zip(wrong, ["one", "none", "holes", "numeric", "one"]) {
            #expect(throws: PostgresError.self, performing: decode)
            do { try decode() } catch { #expect("\(error)".contains("column \(column)")) }
        }
        #expect(throws: PostgresError.self) { try row.decode(Int.self, named: "missing") }
    }

    @Test(arguments: [Parameter.text("a\0b"), .texts(["a", "\0"]), .jsonb("\0")])
    func `a NUL in text is refused before anything is sent`(parameter: Parameter) async throws {
        let connection = try await connect()
        let error = try await postgresError { _ = try await connection.execute(Statement("select $1"), [parameter]) }
        #expect(error?.code == .encoding)
        #expect(try await connection.execute(Statement("select 1")).count == 1)
    }
}
