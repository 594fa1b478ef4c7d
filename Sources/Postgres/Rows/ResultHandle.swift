import CLibPQ

/// Owns a `PGresult`.
///
/// Unchecked: nothing changes a result once libpq has handed it out, and its accessors only read.
final class ResultHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { PQclear(pointer) }

    var status: ExecStatusType { PQresultStatus(pointer) }

    /// What the server says it did, such as `INSERT 0 1`.
    var command: String { String(cString: PQcmdStatus(pointer)) }

    /// What the server refused.
    func error(statement: String) -> PostgresError {
        // The fields' codes are C character macros, which are not imported.
        func field(_ code: Unicode.Scalar) -> String? {
            PQresultErrorField(pointer, Int32(code.value)).map { String(cString: $0) }
        }
        // libpq's own errors have no fields.
        let message = field("M") ?? String(cString: PQresultErrorMessage(pointer))
        var error = PostgresError(
            .server,
            message.inOneLine,
            statement: statement,
            sqlState: field("C"),
            detail: field("D"),
            constraint: field("n")
        )
        error.position = field("P").flatMap { Int($0) }
        return error
    }
}
