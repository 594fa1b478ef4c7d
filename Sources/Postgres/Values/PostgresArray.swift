/// A type that a column can be decoded as an array of.
package protocol PostgresArrayElement: Sendable {
    /// Reads a whole array; `nil` when it is of another type or has more than one dimension.
    static func decodeArray(_ cell: Cell) -> [Self]?
}

extension Array: PostgresDecodable where Element: PostgresArrayElement {
    package static func decode(_ cell: Cell) -> [Element]? {
        Element.decodeArray(cell)
    }
}

extension UInt8: PostgresArrayElement {
    /// Bytes are a `bytea`, which is no array to the server.
    package static func decodeArray(_ cell: Cell) -> [UInt8]? {
        cell.type == PostgresType.bytea ? [UInt8](cell.bytes) : nil
    }
}

extension PostgresArrayElement where Self: PostgresDecodable {
    /// An array in which no element is NULL.
    package static func decodeArray(_ cell: Cell) -> [Self]? {
        cell.elements { $0.flatMap(Self.decode) }
    }
}

extension Int: PostgresArrayElement {}
extension Int64: PostgresArrayElement {}
extension Int32: PostgresArrayElement {}
extension Bool: PostgresArrayElement {}
extension Double: PostgresArrayElement {}
extension String: PostgresArrayElement {}
extension PostgresTimestamp: PostgresArrayElement {}

extension Optional: PostgresArrayElement where Wrapped: PostgresDecodable {
    /// An array whose NULL elements are `nil`.
    package static func decodeArray(_ cell: Cell) -> [Wrapped?]? {
        cell.elements { element in
            guard let element else { return .some(nil) }
            return Wrapped.decode(element).map { .some($0) }
        }
    }
}

extension Cell {
    /// Reads an array of one dimension: dimensions, a flag, the elements' type; length and lower bound; the elements,
    /// each behind its length, which is −1 for NULL.
    ///
    /// - Parameter decode: Gets `nil` for NULL.
    /// - Returns: `nil` when `decode` returned it, or the bytes are something else.
    /// - Source: `array_send` in `src/backend/utils/adt/arrayfuncs.c` of PostgreSQL.
    fileprivate func elements<Element>(_ decode: (Cell?) -> Element?) -> [Element]? {
        guard bytes.count >= 12 else { return nil }
        let type = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let dimensions = Int32(bigEndian: bytes.loadUnaligned(as: Int32.self))
        // Another type's twelve bytes may look like an empty array.
        guard self.type == Self.arrayType(of: type), dimensions <= 1 else { return nil }
        guard dimensions == 1 else { return [] }
        guard bytes.count >= 20 else { return nil }
        let count = Int(Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: Int32.self)))
        var elements: [Element] = []
        elements.reserveCapacity(count)
        var rest = bytes[20...]
        for _ in 0..<count {
            guard rest.count >= 4 else { return nil }
            let prefix = UnsafeRawBufferPointer(rebasing: rest.prefix(4))
            let length = Int32(bigEndian: prefix.loadUnaligned(as: Int32.self))
            rest = rest.dropFirst(4)
            guard rest.count >= length else { return nil }
            let value = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(max(0, length))))
            guard let element = decode(length < 0 ? nil : Cell(type: type, bytes: value)) else { return nil }
            elements.append(element)
            rest = rest.dropFirst(value.count)
        }
        return elements
    }

    private static func arrayType(of element: UInt32) -> UInt32? {
        switch element {
        case PostgresType.bool: PostgresType.boolArray
        case PostgresType.int2: 1005
        case PostgresType.int4: PostgresType.int4Array
        case PostgresType.int8: PostgresType.int8Array
        case PostgresType.text: PostgresType.textArray
        case PostgresType.varchar: 1015
        case PostgresType.name: 1003
        case PostgresType.float4: 1021
        case PostgresType.float8: PostgresType.float8Array
        case PostgresType.timestamptz: PostgresType.timestamptzArray
        case PostgresType.jsonb: PostgresType.jsonbArray
        default: nil
        }
    }
}
