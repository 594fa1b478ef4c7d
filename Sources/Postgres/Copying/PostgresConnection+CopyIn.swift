import CLibPQ
import Logging

/// Takes the data of a COPY, within the closure to which it is lent.
package struct CopyWriter: Sendable {
    fileprivate let connection: PostgresConnection
    fileprivate let statement: Statement
    fileprivate let limit: Duration?

    /// Sends a chunk, cut anywhere, and waits until the server has taken it from us.
    package func write(_ chunk: [UInt8]) async throws(PostgresError) {
        try await connection.put(chunk, statement, within: limit)
    }

    /// Sends text, such as rows in COPY's text format.
    package func write(_ text: String) async throws(PostgresError) {
        try await write([UInt8](text.utf8))
    }
}

extension PostgresConnection {
    /// Runs a `copy … from stdin` of what `body` writes; when that throws, nothing is stored.
    ///
    /// - Parameters:
    ///   - statement: The COPY, without parameters.
    ///   - limit: How long the server may take for each chunk, and for the end; the statement timeout when `nil`.
    ///   - body: Writes the data. What it throws ends the COPY.
    /// - Returns: How many rows were stored.
    /// - Throws: ``PostgresError``, often only when all has been written; or what `body` throws.
    package nonisolated func copyIn(
        _ statement: Statement,
        within limit: Duration? = nil,
        _ body: (CopyWriter) async throws -> Void
    ) async throws -> Int {
        try await beginCopy(statement, PGRES_COPY_IN, within: limit)
        do {
            try await body(CopyWriter(connection: self, statement: statement, limit: limit))
            return try await endCopyIn(statement, within: limit)
        } catch {
            await abandonCopyIn(statement)
            throw error
        }
    }

    fileprivate func put(
        _ chunk: [UInt8],
        _ statement: Statement,
        within limit: Duration?
    ) async throws(PostgresError) {
        try await perform(statement.name, within: limit) { (step) throws(PostgresError) in
            try queue(step) {
                chunk.withUnsafeBytes {
                    PQputCopyData(handle.pointer, $0.baseAddress?.assumingMemoryBound(to: CChar.self), Int32($0.count))
                }
            }
        }
    }

    private func endCopyIn(_ statement: Statement, within limit: Duration?) async throws(PostgresError) -> Int {
        try await perform(statement.name, within: limit) { (step) throws(PostgresError) in
            try queue(step) { PQputCopyEnd(handle.pointer, nil) }
            return try collect(step).affected
        }
    }

    /// Makes the server drop what was sent, for a cancelled caller too.
    private func abandonCopyIn(_ statement: Statement) async {
        guard !isBroken, handle.isActive else { return }
        do throws(PostgresError) {
            try await perform(statement.name, within: nil, isCancellable: false) { (step) throws(PostgresError) in
                try queue(step) { PQputCopyEnd(handle.pointer, "given up by the client") }
                _ = try collect(step)
            }
        } catch {
            // That it failed is what was wanted; anything else shows in `isBroken`.
            logger.trace("Copy abandoned", metadata: ["db.statement": "\(statement.name)", "error": "\(error)"])
        }
    }

    // Puts something into libpq's buffer, and waits until it has been sent: what waits there has no limit.
    // `put` returns 1 when it is done, 0 when there is no room yet.
    private func queue(_ step: Step, _ put: () -> Int32) throws(PostgresError) {
        while true {
            switch put() {
            case 1: return try flush(step)
            case 0: try flush(step)
            default: throw lost(step)
            }
        }
    }
}
