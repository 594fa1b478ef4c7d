import Postgres
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CopyTests {
    private struct Enough: Error {}

    private let out = Statement(name: "copy out", sql: "copy (select n from generate_series(1, 300000) as n) to stdout")
    private let into = Statement(name: "copy in", sql: "copy t from stdin")

    @Test func `what is copied out comes in chunks of whole rows`() async throws {
        var chunks: [[UInt8]] = []
        let rows = try await connect().copyOut(out) { chunks.append($0) }
        #expect(rows == 300_000)
        #expect(chunks.count > 10)
        #expect(chunks.allSatisfy { $0.last == UInt8(ascii: "\n") })
        let numbers = String(decoding: chunks.joined(), as: UTF8.self).split(separator: "\n")
        #expect(numbers == (1...300_000).map { "\($0)" })
    }

    @Test func `a receiver that throws ends the COPY, and the connection goes on`() async throws {
        let connection = try await connect()
        await #expect(throws: Enough.self) { _ = try await connection.copyOut(out) { _ in throw Enough() } }
        #expect(connection.isReusable)
        #expect(try await connection.execute(Statement("select 1")).count == 1)
    }

    @Test func `a cancelled task ends the COPY, and the connection goes on`() async throws {
        let connection = try await connect()
        let task = Task {
            try await connection.copyOut(out) { _ in withUnsafeCurrentTask { $0?.cancel() } }
        }
        #expect(try await postgresError { _ = try await task.value }?.code == .cancelled)
        #expect(connection.isReusable)
    }

    @Test func `an error amid the rows is thrown`() async throws {
        let connection = try await connect()
        let statement = Statement("copy (select 1 / (1000 - n) from generate_series(1, 2000) as n) to stdout")
        let error = try await postgresError { _ = try await connection.copyOut(statement) { _ in } }
        #expect(error?.sqlState == "22012")
        #expect(connection.isReusable)
    }

    @Test func `what is written is stored, wherever it is cut`() async throws {
        let connection = try await connect()
        try await connection.executeScript("create temporary table t (id bigint, name text)")
        let rows = try await connection.copyIn(into) { writer in
            try await writer.write("1\tO'Re")
            try await writer.write("illy\n2\t\\N\n")
            for block in 0..<20 {
                try await writer.write((0..<5_000).map { "\(block * 5_000 + $0 + 3)\tname\n" }.joined())
            }
        }
        #expect(rows == 100_002)
        let stored = try await connection.execute(Statement("select count(*), count(name), max(id) from t"))[0]
        #expect(try stored.decode(Int.self, at: 0) == 100_002)
        #expect(try stored.decode(Int.self, at: 1) == 100_001)
        #expect(try stored.decode(Int.self, at: 2) == 100_002)
    }

    @Test func `a writer that throws stores nothing`() async throws {
        let connection = try await connect()
        try await connection.executeScript("create temporary table t (id bigint)")
        await #expect(throws: Enough.self) {
            _ = try await connection.copyIn(into) {
                try await $0.write("1\n")
                throw Enough()
            }
        }
        #expect(connection.isReusable)
        #expect(try await connection.execute(Statement("select from t")).isEmpty)
    }

    @Test func `a row that the server cannot read fails the COPY, and the connection goes on`() async throws {
        let connection = try await connect()
        try await connection.executeScript("create temporary table t (id bigint)")
        let error = try await postgresError { _ = try await connection.copyIn(into) { try await $0.write("one\n") } }
        #expect(error?.sqlState == "22P02")
        #expect(connection.isReusable)
    }

    @Test func `a statement that is no COPY is refused`() async throws {
        let connection = try await connect()
        #expect(
            try await postgresError { _ = try await connection.copyOut(Statement("select 1")) { _ in } }?.code
                == .encoding
        )
        #expect(
            try await postgresError { _ = try await connection.copyOut(Statement("copy nothing to stdout")) { _ in } }?
                .sqlState
                == "42P01"
        )
        #expect(connection.isReusable)
    }
}
