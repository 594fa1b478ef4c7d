/// A value for a statement's `$n`, in the form and with the type in which it is sent.
///
/// `nil` is sent as NULL of its type; ``Parameter/null`` leaves the type to the server.
package struct Parameter: Sendable {
    /// The number of its type in `pg_type`; 0 leaves it to the server.
    let type: UInt32
    /// Its binary form; `nil` for NULL.
    let bytes: [UInt8]?
    /// Whether it is text with a NUL character in it, which PostgreSQL cannot store.
    let holdsNUL: Bool

    init(type: UInt32, bytes: [UInt8]?, holdsNUL: Bool = false) {
        self.type = type
        self.bytes = bytes
        self.holdsNUL = holdsNUL
    }

    /// NULL of whatever type the statement needs.
    package static let null = Parameter(type: 0, bytes: nil)

    package static func text(_ value: String?) -> Parameter {
        let bytes = value.map { [UInt8]($0.utf8) }
        return Parameter(type: PostgresType.text, bytes: bytes, holdsNUL: bytes?.contains(0) ?? false)
    }

    package static func int64(_ value: Int64?) -> Parameter {
        Parameter(type: PostgresType.int8, bytes: value?.bigEndianBytes)
    }

    package static func int(_ value: Int?) -> Parameter {
        int64(value.map(Int64.init))
    }

    package static func int32(_ value: Int32?) -> Parameter {
        Parameter(type: PostgresType.int4, bytes: value?.bigEndianBytes)
    }

    package static func bool(_ value: Bool?) -> Parameter {
        Parameter(type: PostgresType.bool, bytes: value.map { [$0 ? 1 : 0] })
    }

    package static func double(_ value: Double?) -> Parameter {
        Parameter(type: PostgresType.float8, bytes: value?.bitPattern.bigEndianBytes)
    }

    package static func bytes(_ value: [UInt8]?) -> Parameter {
        Parameter(type: PostgresType.bytea, bytes: value)
    }

    package static func timestamp(_ value: PostgresTimestamp?) -> Parameter {
        Parameter(type: PostgresType.timestamptz, bytes: value?.sinceMillennium.bigEndianBytes)
    }

    /// JSON text, which the server checks.
    package static func jsonb(_ value: String?) -> Parameter {
        // The format's version comes first.
        let bytes = value.map { [1] + $0.utf8 }
        return Parameter(type: PostgresType.jsonb, bytes: bytes, holdsNUL: bytes?.contains(0) ?? false)
    }
}

extension FixedWidthInteger {
    /// Its bytes, most significant first, as the protocol has them.
    fileprivate var bigEndianBytes: [UInt8] {
        Swift.withUnsafeBytes(of: bigEndian) { [UInt8]($0) }
    }
}
