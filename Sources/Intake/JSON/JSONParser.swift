/// Reads one JSON text, strictly, in one pass.
///
/// - Source: RFC 8259.
struct JSONParser: ~Copyable {
    /// It is no JSON, or too deep.
    struct Failure: Error {}

    /// The deepest nesting of arrays and objects.
    private static let depthLimit = 64
    /// What PostgreSQL's numbers can hold, with room.
    private static let longestNumber = 400
    private static let largestExponent = 400

    private let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0
    private var depth = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    static func parse(_ bytes: some Sequence<UInt8>) throws(Failure) -> JSONValue {
        let result = bytes.withContiguousStorageIfAvailable { buffer in
            Result { () throws(Failure) in try parse(buffer) }
        }
        if let result { return try result.get() }
        let copy = Array(bytes)
        return try copy.withUnsafeBufferPointer { (buffer) throws(Failure) in try parse(buffer) }
    }

    private static func parse(_ buffer: UnsafeBufferPointer<UInt8>) throws(Failure) -> JSONValue {
        var parser = JSONParser(buffer)
        let value = try parser.value()
        parser.skipSpace()
        guard parser.index == buffer.count else { throw Failure() }
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
            guard next == text.utf8Start[offset] else { throw Failure() }
            index += 1
        }
    }

    private mutating func value() throws(Failure) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
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
        guard depth <= Self.depthLimit else { throw Failure() }
    }

    private mutating func object() throws(Failure) -> JSONValue {
        try enter()
        let start = index
        index += 1
        var fields: [JSONValue.Field] = []
        skipSpace()
        if !take("}") {
            repeat {
                skipSpace()
                guard next == UInt8(ascii: "\"") else { throw Failure() }
                let name = try string()
                skipSpace()
                guard take(":") else { throw Failure() }
                fields.append(JSONValue.Field(name: name, value: try value()))
                skipSpace()
            } while take(",")
            guard take("}") else { throw Failure() }
        }
        depth -= 1
        // Only what may be metadata is kept as it was written.
        return .object(fields, depth == 1 ? String(decoding: bytes[start..<index], as: UTF8.self) : "")
    }

    private mutating func array() throws(Failure) -> JSONValue {
        try enter()
        index += 1
        skipSpace()
        var holdsNUL = false
        if !take("]") {
            repeat {
                if try value().holdsNUL { holdsNUL = true }
                skipSpace()
            } while take(",")
            guard take("]") else { throw Failure() }
        }
        depth -= 1
        return .array(holdsNUL: holdsNUL)
    }

    private mutating func digits() -> Int {
        let start = index
        while let byte = next, (0x30...0x39).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func number() throws(Failure) -> JSONValue {
        let start = index
        _ = take("-")
        let isZero = next == UInt8(ascii: "0")
        let count = digits()
        guard count > 0, !isZero || count == 1 else { throw Failure() }
        var isWhole = true
        if take(".") {
            isWhole = false
            guard digits() > 0 else { throw Failure() }
        }
        if take("e") || take("E") {
            isWhole = false
            if !take("+") { _ = take("-") }
            let exponent = index
            guard digits() > 0, let value = Int(String(decoding: bytes[exponent..<index], as: UTF8.self)),
                value <= Self.largestExponent
            else { throw Failure() }
        }
        guard index - start <= Self.longestNumber else { throw Failure() }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text) else { throw Failure() }
        if let whole = Int64(exactly: value), abs(value) < 0x1p53 { return .integer(whole) }
        return .number(value)
    }

    private mutating func string() throws(Failure) -> String {
        index += 1
        let start = index
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { index += 1 }
        if next == UInt8(ascii: "\"") {
            let text = String(validating: bytes[start..<index], as: UTF8.self)
            index += 1
            guard let text else { throw Failure() }
            return text
        }
        var buffer = Array(bytes[start..<index])
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: buffer, as: UTF8.self) else { throw Failure() }
                return text
            case UInt8(ascii: "\\"): try escape(into: &buffer)
            case 0..<0x20: throw Failure()
            default: buffer.append(byte)
            }
        }
        throw Failure()
    }

    private mutating func escape(into buffer: inout [UInt8]) throws(Failure) {
        guard let byte = next else { throw Failure() }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code) {
                // Half of a pair: the other half must follow.
                guard take("\\"), take("u") else { throw Failure() }
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw Failure() }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw Failure() }
            buffer.append(contentsOf: String(Character(scalar)).utf8)
        default: throw Failure()
        }
    }

    private mutating func hexadecimal() throws(Failure) -> UInt32 {
        guard index + 4 <= bytes.count else { throw Failure() }
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else { throw Failure() }
            code = code << 4 | UInt32(digit)
            index += 1
        }
        return code
    }
}
