import CLibPQ

/// What a statement returned: its rows, and how many it affected.
package struct Rows: RandomAccessCollection, Sendable {
    private let result: ResultHandle
    package let startIndex = 0
    package let endIndex: Int

    init(_ result: ResultHandle) {
        self.result = result
        endIndex = Int(PQntuples(result.pointer))
    }

    package subscript(position: Int) -> Row {
        precondition(indices.contains(position), "row \(position) of \(count)")
        return Row(result: result, index: Int32(position))
    }

    /// How many rows were inserted, updated, deleted, selected or copied; 0 for what counts none.
    package var affected: Int { result.affected }

    /// The columns' names, in order.
    package var columns: [String] {
        (0..<PQnfields(result.pointer)).map { String(cString: PQfname(result.pointer, $0)) }
    }
}

extension ResultHandle {
    /// How many rows the command counts.
    var affected: Int { Int(String(cString: PQcmdTuples(pointer))) ?? 0 }
}
