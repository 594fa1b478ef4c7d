/// What a node answers to one command: any value of RESP2 or RESP3.
package enum RedisReply: Sendable, Hashable {
    /// A short text such as `OK`.
    case simple(String)
    /// The command was refused or went wrong.
    case error(RedisReplyError)
    /// A number.
    case integer(Int64)
    /// Bytes.
    case bulk([UInt8])
    /// Nothing: RESP3's null, and RESP2's null string and null array.
    case null
    /// Several values, in order.
    case array([RedisReply])
    /// A floating-point number.
    case double(Double)
    /// A truth value.
    case boolean(Bool)
    /// An integer of any length, in decimal digits.
    case bigNumber(String)
    /// Bytes with a note on what they are, as in `txt` or `mkd`.
    case verbatim(format: String, [UInt8])
    /// Pairs, in the order they came in.
    case map([Pair])
    /// Values without an order; kept in the order they came in.
    case set([RedisReply])
    /// What the node says unasked.
    ///
    /// It answers no command.
    case push([RedisReply])

    /// One entry of a map.
    package struct Pair: Sendable, Hashable {
        /// What it is filed under.
        package var key: RedisReply
        /// What is filed.
        package var value: RedisReply

        /// Makes an entry.
        package init(_ key: RedisReply, _ value: RedisReply) {
            self.key = key
            self.value = value
        }
    }
}

/// An error that a node answers with.
package struct RedisReplyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The first word when it is in capitals, as in `NOSCRIPT` or `ERR`; empty when it is not.
    package let code: String
    /// The whole text, the code included.
    package let message: String

    /// Takes the code from the text.
    package init(_ message: String) {
        let word = message.prefix { $0 != " " }
        code = word.utf8.allSatisfy { (0x41...0x5A).contains($0) } ? String(word) : ""
        self.message = message
    }

    /// The whole text.
    package var description: String { message }
}

extension RedisReply {
    /// The text of a simple, bulk, verbatim or big-number reply; `nil` for any other, and for bytes that are not UTF-8.
    package var string: String? {
        switch self {
        case .simple(let text), .bigNumber(let text): text
        case .bulk(let bytes), .verbatim(_, let bytes): String(validating: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// The number of an integer reply, or of a text that is one; `nil` for any other.
    package var int: Int64? {
        if case .integer(let number) = self { return number }
        return string.flatMap { Int64($0) }
    }

    /// The error of an error reply; `nil` for any other.
    package var error: RedisReplyError? {
        if case .error(let error) = self { return error }
        return nil
    }

    /// Whether it is null.
    package var isNull: Bool { self == .null }

    /// The values of an array, set or push reply; `nil` for any other.
    package var elements: [RedisReply]? {
        switch self {
        case .array(let elements), .set(let elements), .push(let elements): elements
        default: nil
        }
    }
}
