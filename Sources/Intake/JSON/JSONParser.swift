/// Reads one JSON text, strictly, in one pass whose cost is linear in its bytes.
///
/// What it buys over Foundation's reader, which every job would pass through otherwise: of an object only the fields of the
/// outermost level are kept, at most ``fieldLimit``, whatever is inside of them is checked and measured and makes nothing;
/// numbers and texts are exact, and metadata stays as it was written; a second field of one name, a lone surrogate and a
/// comma too many have one meaning. Foundation's makes an object for every value, so that a few KiB of gzip become GiB.
/// - Source: RFC 8259.
struct JSONParser: ~Copyable {
    /// Why it cannot be taken.
    enum Failure: Error, Equatable {
        /// It is no JSON, or nested too deeply.
        case malformed
        /// It is JSON, and no object.
        case notAnObject(typeName: String)
        case tooManyFields
    }

    /// The most fields of an object that is read: a job has a dozen.
    static let fieldLimit = 64
    /// The deepest nesting of arrays and objects.
    private static let depthLimit = 64
    /// What PostgreSQL's numbers can hold, with room.
    private static let longestNumber = 400
    private static let largestExponent = 400

    private let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0
    private var depth = 0
    /// How many bytes what is nested takes as PostgreSQL writes it.
    private var size = 0
    private var holdsNUL = false

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Reads any value.
    static func parse(_ bytes: some Sequence<UInt8>) throws(Failure) -> JSONValue {
        try reading(bytes) { (parser) throws(Failure) in try parser.value() }
    }

    /// Reads an object's fields, in their order, those of one name too.
    static func fields(_ bytes: some Sequence<UInt8>) throws(Failure) -> [JSONValue.Field] {
        try reading(bytes) { (parser) throws(Failure) in
            parser.skipSpace()
            guard parser.next == UInt8(ascii: "{") else {
                throw .notAnObject(typeName: try parser.value().typeName)
            }
            return try parser.fields()
        }
    }

    private static func reading<Value>(
        _ bytes: some Sequence<UInt8>,
        _ body: (inout JSONParser) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let result = bytes.withContiguousStorageIfAvailable { buffer in
            Result { () throws(Failure) in try reading(buffer, body) }
        }
        if let result { return try result.get() }
        let copy = Array(bytes)
        return try copy.withUnsafeBufferPointer { (buffer) throws(Failure) in try reading(buffer, body) }
    }

    private static func reading<Value>(
        _ buffer: UnsafeBufferPointer<UInt8>,
        _ body: (inout JSONParser) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var parser = JSONParser(buffer)
        let value = try body(&parser)
        parser.skipSpace()
        guard parser.index == buffer.count else { throw .malformed }
        return value
    }

    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: byte) else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ text: StaticString) throws(Failure) {
        for offset in 0..<text.utf8CodeUnitCount {
            guard next == text.utf8Start[offset] else { throw .malformed }
            index += 1
        }
    }

    private mutating func value() throws(Failure) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"), UInt8(ascii: "["): return try nested()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        default: return try number()
        }
    }

    private mutating func enter() throws(Failure) {
        depth += 1
        guard depth <= Self.depthLimit else { throw .malformed }
    }

    private mutating func fields() throws(Failure) -> [JSONValue.Field] {
        try enter()
        index += 1
        var fields: [JSONValue.Field] = []
        skipSpace()
        if !take("}") {
            repeat {
                guard fields.count < Self.fieldLimit else { throw .tooManyFields }
                skipSpace()
                guard next == UInt8(ascii: "\"") else { throw .malformed }
                let name = try string()
                skipSpace()
                guard take(":") else { throw .malformed }
                fields.append(JSONValue.Field(name: name, value: try value()))
                skipSpace()
            } while take(",")
            guard take("}") else { throw .malformed }
        }
        depth -= 1
        return fields
    }

    /// An array or an object: checked, measured, and kept as it is written.
    private mutating func nested() throws(Failure) -> JSONValue {
        let start = index
        size = 0
        holdsNUL = false
        try skipNested()
        guard let text = String(validating: bytes[start..<index], as: UTF8.self) else { throw .malformed }
        guard bytes[start] == UInt8(ascii: "{") else { return .array }
        return .object(JSONText(text: text, size: size, holdsNUL: holdsNUL))
    }

    private mutating func skipNested() throws(Failure) {
        try enter()
        let isObject = next == UInt8(ascii: "{")
        index += 1
        size += 2
        skipSpace()
        if !take(isObject ? "}" : "]") {
            repeat {
                skipSpace()
                if isObject {
                    guard next == UInt8(ascii: "\"") else { throw .malformed }
                    try skipString()
                    skipSpace()
                    guard take(":") else { throw .malformed }
                    skipSpace()
                    size += 2
                }
                try skipValue()
                skipSpace()
                size += 2
            } while take(",")
            guard take(isObject ? "}" : "]") else { throw .malformed }
            size -= 2  // None follows the last.
        }
        depth -= 1
    }

    private mutating func skipValue() throws(Failure) {
        switch next {
        case UInt8(ascii: "{"), UInt8(ascii: "["): try skipNested()
        case UInt8(ascii: "\""): try skipString()
        case UInt8(ascii: "t"):
            try expect("true")
            size += 4
        case UInt8(ascii: "f"):
            try expect("false")
            size += 5
        case UInt8(ascii: "n"):
            try expect("null")
            size += 4
        default: size += try scanNumber().size
        }
    }

    /// PostgreSQL escapes nothing but quotation marks, backslashes and control characters.
    private mutating func skipString() throws(Failure) {
        index += 1
        size += 2
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"):
                let scalar = try escaped()
                if scalar.value == 0 { holdsNUL = true }
                switch scalar {
                case "\"", "\\", "\u{8}", "\t", "\n", "\u{C}", "\r": size += 2
                case "\0"..<" ": size += 6
                default: size += UTF8.width(scalar)
                }
            case 0..<0x20: throw .malformed
            default: size += 1
            }
        }
        throw .malformed
    }

    private mutating func digits() -> Int {
        let start = index
        while let byte = next, (0x30...0x39).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func number() throws(Failure) -> JSONValue {
        let start = index
        let isWhole = try scanNumber().isWhole
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text) else { throw .malformed }
        if let whole = Int64(exactly: value), abs(value) < 0x1p53 { return .integer(whole) }
        return .number(value)
    }

    /// Passes a number.
    ///
    /// - Returns: Whether it has neither a fraction nor an exponent, and how many bytes it takes as PostgreSQL writes it: all
    ///   its digits, so that `1e400` takes 401.
    private mutating func scanNumber() throws(Failure) -> (isWhole: Bool, size: Int) {
        let start = index
        let isNegative = take("-")
        let isZero = next == UInt8(ascii: "0")
        let count = digits()
        guard count > 0, !isZero || count == 1 else { throw .malformed }
        var isWhole = true
        var places = 0
        // The power of ten of the first digit that is not zero.
        var power: Int? = isZero ? nil : count - 1
        if take(".") {
            isWhole = false
            let first = index
            places = digits()
            guard places > 0 else { throw .malformed }
            if power == nil, let digit = bytes[first..<index].firstIndex(where: { $0 != UInt8(ascii: "0") }) {
                power = first - digit - 1
            }
        }
        var exponent = 0
        if take("e") || take("E") {
            isWhole = false
            let isSmall = !take("+") && take("-")
            let first = index
            guard digits() > 0, let value = Int(String(decoding: bytes[first..<index], as: UTF8.self)),
                value <= Self.largestExponent
            else { throw .malformed }
            exponent = isSmall ? -value : value
        }
        guard index - start <= Self.longestNumber else { throw .malformed }
        let scale = max(0, places - exponent)
        let whole = max(1, (power.map { $0 + exponent } ?? 0) + 1)
        return (isWhole, (isNegative && power != nil ? 1 : 0) + whole + (scale > 0 ? 1 + scale : 0))
    }

    private mutating func string() throws(Failure) -> String {
        index += 1
        let start = index
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { index += 1 }
        if next == UInt8(ascii: "\"") {
            let text = String(validating: bytes[start..<index], as: UTF8.self)
            index += 1
            guard let text else { throw .malformed }
            return text
        }
        var buffer = Array(bytes[start..<index])
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: buffer, as: UTF8.self) else { throw .malformed }
                return text
            case UInt8(ascii: "\\"): try escape(into: &buffer)
            case 0..<0x20: throw .malformed
            default: buffer.append(byte)
            }
        }
        throw .malformed
    }

    private mutating func escape(into buffer: inout [UInt8]) throws(Failure) {
        buffer.append(contentsOf: UTF8.encode(try escaped())!)  // Any scalar has an encoding.
    }

    /// What stands behind a backslash.
    private mutating func escaped() throws(Failure) -> Unicode.Scalar {
        guard let byte = next else { throw .malformed }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code) {
                // Half of a pair: the other half must follow.
                guard take("\\"), take("u") else { throw .malformed }
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw .malformed }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw .malformed }
            return scalar
        default: throw .malformed
        }
    }

    private mutating func hexadecimal() throws(Failure) -> UInt32 {
        guard index + 4 <= bytes.count else { throw .malformed }
        var code: UInt32 = 0
        for _ in 0..<4 {
            let byte = UInt32(bytes[index])
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): code = code << 4 + (byte - 0x30)
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
                code = code << 4 + ((byte | 0x20) - 0x57)
            default: throw .malformed
            }
            index += 1
        }
        return code
    }
}
