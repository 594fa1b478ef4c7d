import CLibPQ

/// One row of a result, which it keeps alive.
package struct Row: Sendable {
    private let result: ResultHandle
    private let index: Int32

    init(result: ResultHandle, index: Int32) {
        self.result = result
        self.index = index
    }

    /// The value of a column, counted from 0.
    ///
    /// - Throws: ``PostgresError`` (`decoding`), which names the column, when it is NULL or of another type.
    package func decode<Value: PostgresDecodable>(
        _ type: Value.Type = Value.self,
        at column: Int
    ) throws(PostgresError) -> Value {
        guard let value = try decodeIfPresent(type, at: column) else {
            throw error(column, "is NULL, not \(type)")
        }
        return value
    }

    /// The value of a column, counted from 0; `nil` when it is NULL.
    ///
    /// - Throws: ``PostgresError`` (`decoding`), which names the column, when it is of another type.
    package func decodeIfPresent<Value: PostgresDecodable>(
        _ type: Value.Type = Value.self,
        at column: Int
    ) throws(PostgresError) -> Value? {
        precondition(column >= 0 && column < PQnfields(result.pointer), "no column \(column)")
        let number = Int32(column)
        guard PQgetisnull(result.pointer, index, number) == 0 else { return nil }
        let value = withExtendedLifetime(result) {
            let length = Int(PQgetlength(result.pointer, index, number))
            let bytes = UnsafeRawBufferPointer(start: PQgetvalue(result.pointer, index, number), count: length)
            return Value.decode(Cell(type: PQftype(result.pointer, number), bytes: bytes))
        }
        guard let value else {
            throw error(column, "of type \(PQftype(result.pointer, number)) is no \(type)")
        }
        return value
    }

    /// The value of the first column of that name (lower case, as PostgreSQL folds it).
    ///
    /// - Throws: ``PostgresError`` (`decoding`) when there is none, or it is NULL or of another type.
    package func decode<Value: PostgresDecodable>(
        _ type: Value.Type = Value.self,
        named name: String
    ) throws(PostgresError) -> Value {
        try decode(type, at: column(name))
    }

    /// The value of the first column of that name; `nil` when it is NULL.
    ///
    /// - Throws: ``PostgresError`` (`decoding`) when there is none, or it is of another type.
    package func decodeIfPresent<Value: PostgresDecodable>(
        _ type: Value.Type = Value.self,
        named name: String
    ) throws(PostgresError) -> Value? {
        try decodeIfPresent(type, at: column(name))
    }

    private func column(_ name: String) throws(PostgresError) -> Int {
        let number = PQfnumber(result.pointer, name)
        guard number >= 0 else { throw PostgresError(.decoding, "the result has no column \(name)") }
        return Int(number)
    }

    private func error(_ column: Int, _ problem: String) -> PostgresError {
        let name = String(cString: PQfname(result.pointer, Int32(column)))
        return PostgresError(.decoding, "column \(name) \(problem)")
    }
}
