/// Any JSON value, with numbers as JavaScript's `String()` would write them.
enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    /// What is in it is of no interest: no field takes one.
    case array
    case object(JSONText)

    /// A field of an object: a list of a few is searched faster than a dictionary of them is made.
    struct Field: Sendable, Equatable {
        let name: String
        let value: JSONValue
    }

    /// What JavaScript takes for false: null, false, 0 and "".
    var isFalsy: Bool {
        switch self {
        case .null, .bool(false), .integer(0), .string(""): true
        case .number(let value): value == 0
        default: false
        }
    }

    /// A text, or a number or `true` as its text; `nil` for an array or object.
    var text: String? {
        switch self {
        case .string(let text): text
        case .integer(let value): String(value)
        case .number(let value): Self.text(of: value)
        case .bool(let value): String(value)
        case .null, .array, .object: nil
        }
    }

    /// Its type, in words that follow "is".
    var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// A number's shortest text, with an exponent only where JavaScript has one: from 1e21, and below 1e-6.
    ///
    /// - Source: ECMA-262, Number::toString.
    private static func text(of value: Double) -> String {
        let magnitude = abs(value)
        guard magnitude.isFinite else { return value < 0 ? "-Infinity" : "Infinity" }
        let short = "\(value)"
        guard let mark = short.firstIndex(of: "e") else {
            return short.hasSuffix(".0") ? String(short.dropLast(2)) : short
        }
        let exponent = Int(short[short.index(after: mark)...]) ?? 0
        let sign = value < 0 ? "-" : ""
        let mantissa = String(short[..<mark].drop { $0 == "-" })
        if magnitude >= 1e21 || magnitude < 1e-6 {
            return "\(sign)\(mantissa)e\(exponent < 0 ? "-" : "+")\(abs(exponent))"
        }
        let digits = mantissa.replacing(".", with: "")
        let zeros = String(repeating: "0", count: exponent < 0 ? -exponent - 1 : max(0, exponent + 1 - digits.count))
        return exponent < 0 ? "\(sign)0.\(zeros)\(digits)" : "\(sign)\(digits)\(zeros)"
    }
}

/// An object as it was written; it is JSON.
struct JSONText: Sendable, Equatable {
    let text: String
    /// How many bytes it takes as PostgreSQL writes it.
    ///
    /// A `jsonb` is written without the spaces that were there, with one behind each colon and comma, and with all digits of
    /// each number. Of several fields of one name PostgreSQL keeps one, and this counts all.
    let size: Int
    /// Whether a text in it, or a name, has a NUL character, which PostgreSQL does not store.
    let holdsNUL: Bool
}
