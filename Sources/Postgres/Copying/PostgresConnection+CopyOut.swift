import CLibPQ
import Logging

/// What comes next of a COPY.
private enum CopyOutput {
    case chunk([UInt8])
    /// The last bytes, if any, and how many rows there were.
    case end([UInt8], rows: Int)
}

extension PostgresConnection {
    /// Runs a `copy … to stdout`, and waits for each chunk to be received before it reads on.
    ///
    /// - Parameters:
    ///   - statement: The COPY, without parameters.
    ///   - limit: How long the server may take for each chunk; the statement timeout when `nil`.
    ///   - receive: Gets whole rows, about 64 KiB at a time. What it throws ends the COPY.
    /// - Returns: How many rows there were.
    /// - Throws: ``PostgresError``, or what `receive` throws.
    package nonisolated func copyOut(
        _ statement: Statement,
        within limit: Duration? = nil,
        _ receive: ([UInt8]) async throws -> Void
    ) async throws -> Int {
        try await beginCopy(statement, PGRES_COPY_OUT, within: limit)
        do {
            while true {
                switch try await nextOutput(statement, within: limit) {
                case .chunk(let bytes): try await receive(bytes)
                case .end(let bytes, let rows):
                    if !bytes.isEmpty { try await receive(bytes) }
                    return rows
                }
            }
        } catch {
            await abandonCopyOut(statement)
            throw error
        }
    }

    private func nextOutput(_ statement: Statement, within limit: Duration?) async throws(PostgresError) -> CopyOutput {
        try await perform(statement.name, within: limit) { (step) throws(PostgresError) in
            var chunk: [UInt8] = []
            while chunk.count < 65_536 {
                switch readCopied(into: &chunk) {
                case 0:
                    guard chunk.isEmpty else { return .chunk(chunk) }
                    try waitForInput(step)
                case -1:
                    return .end(chunk, rows: try collect(step).affected)
                case -2: throw lost(step)
                default: break
                }
            }
            return .chunk(chunk)
        }
    }

    /// Appends one row.
    ///
    /// - Returns: Its length; 0 when none is there yet, −1 when there is none any more, −2 on an error.
    private func readCopied(into chunk: inout [UInt8]) -> Int32 {
        var row: UnsafeMutablePointer<CChar>?
        let length = PQgetCopyData(handle.pointer, &row, 1)
        if let row, length > 0 { chunk.append(contentsOf: UnsafeRawBufferPointer(start: row, count: Int(length))) }
        PQfreemem(row)
        return length
    }

    /// Ends a COPY of which no more is wanted, for a cancelled caller too.
    private func abandonCopyOut(_ statement: Statement) async {
        guard !isBroken, handle.isActive else { return }
        do throws(PostgresError) {
            try await perform(statement.name, within: nil, isCancellable: false) { (step) throws(PostgresError) in
                canceller.cancel(step.number, for: .task)
                var rest: [UInt8] = []
                while true {
                    switch readCopied(into: &rest) {
                    case 0: try waitForInput(step)
                    case ..<0:
                        _ = try collect(step)
                        return
                    default: rest.removeAll(keepingCapacity: true)
                    }
                }
            }
        } catch {
            // That it was cancelled is what was wanted; anything else shows in `isBroken`.
            logger.trace("Copy abandoned", metadata: ["db.statement": "\(statement.name)", "error": "\(error)"])
        }
    }

    /// Sends a COPY, and waits until the server is ready for it.
    func beginCopy(
        _ statement: Statement,
        _ expected: ExecStatusType,
        within limit: Duration?
    ) async throws(PostgresError) {
        try await perform(statement.name, within: limit) { (step) throws(PostgresError) in
            guard PQsendQuery(handle.pointer, statement.sql) == 1 else { throw lost(step) }
            try flush(step)
            guard let result = try nextResult(step) else { throw lost(step) }
            guard result.status != expected else { return }
            // A refusal, or no COPY: what else it says is read, so that the connection can go on.
            let refusal = result.status == PGRES_FATAL_ERROR ? error(of: result, step) : nil
            while let rest = try nextResult(step) {
                guard rest.status != PGRES_COPY_IN, rest.status != PGRES_COPY_OUT else {
                    giveUp()
                    break
                }
            }
            throw refusal ?? step.error(.encoding, "is no COPY in this direction")
        }
    }
}
