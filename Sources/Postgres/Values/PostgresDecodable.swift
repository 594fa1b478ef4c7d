/// One value as it came from the server, in binary.
package struct Cell {
    /// The number of its type in `pg_type`.
    package let type: UInt32
    /// Its bytes, only for as long as the call to which it was passed.
    package let bytes: UnsafeRawBufferPointer

    /// The big-endian integer that the bytes are; `nil` when there are more or fewer.
    func integer<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) -> Integer? {
        guard bytes.count == MemoryLayout<Integer>.size else { return nil }
        return Integer(bigEndian: bytes.loadUnaligned(as: Integer.self))
    }
}

/// A type that a column can be decoded as.
package protocol PostgresDecodable: Sendable {
    /// Reads a value that is not NULL; `nil` when it is of another type or length.
    static func decode(_ cell: Cell) -> Self?
}

extension PostgresDecodable where Self: FixedWidthInteger {
    /// Any integer of the server's that fits.
    package static func decode(_ cell: Cell) -> Self? {
        switch cell.type {
        case PostgresType.int8: cell.integer(Int64.self).flatMap { Self(exactly: $0) }
        case PostgresType.int4: cell.integer(Int32.self).flatMap { Self(exactly: $0) }
        case PostgresType.int2: cell.integer(Int16.self).flatMap { Self(exactly: $0) }
        case PostgresType.oid: cell.integer(UInt32.self).flatMap { Self(exactly: $0) }
        default: nil
        }
    }
}

extension Int: PostgresDecodable {}
extension Int64: PostgresDecodable {}
extension Int32: PostgresDecodable {}
extension Int16: PostgresDecodable {}

extension Bool: PostgresDecodable {
    package static func decode(_ cell: Cell) -> Bool? {
        guard cell.type == PostgresType.bool else { return nil }
        return cell.integer(UInt8.self).map { $0 != 0 }
    }
}

extension Double: PostgresDecodable {
    package static func decode(_ cell: Cell) -> Double? {
        switch cell.type {
        case PostgresType.float8: cell.integer(UInt64.self).map(Double.init(bitPattern:))
        case PostgresType.float4: cell.integer(UInt32.self).map { Double(Float(bitPattern: $0)) }
        default: nil
        }
    }
}

extension String: PostgresDecodable {
    /// Text of any kind, JSON, and what extensions and `create type … as enum` define.
    package static func decode(_ cell: Cell) -> String? {
        switch cell.type {
        case PostgresType.text, PostgresType.varchar, PostgresType.bpchar, PostgresType.name, PostgresType.json,
            PostgresType.unknown, PostgresType.firstOwn...:
            return String(validating: cell.bytes, as: UTF8.self)
        case PostgresType.jsonb:
            // A byte with the format's version comes first; 1 is the only one there has been.
            guard cell.bytes.first == 1 else { return nil }
            return String(validating: cell.bytes.dropFirst(), as: UTF8.self)
        default: return nil
        }
    }
}

extension PostgresTimestamp: PostgresDecodable {
    /// A `timestamptz`, or a `timestamp` that is in UTC.
    package static func decode(_ cell: Cell) -> PostgresTimestamp? {
        switch cell.type {
        case PostgresType.timestamptz, PostgresType.timestamp:
            cell.integer(Int64.self).map(PostgresTimestamp.init(sinceMillennium:))
        default: nil
        }
    }
}
