/// Turns a node's bytes into replies, whatever pieces they come in.
///
/// RESP2 and RESP3.
///
/// Memory is bounded by ``Limits`` and by what has come in: an announced length or count reserves nothing. What was
/// looked at is not looked at again, so that a reply in many small pieces costs no more than one in a single piece.
///
/// - Source: the RESP specification, <https://redis.io/docs/latest/develop/reference/protocol-spec/>. Streamed strings
///   and aggregates (`$?`, `*?`), which no server sends, are refused.
package struct ReplyParser: ~Copyable {
    /// What a reply may be at most.
    ///
    /// A reply past it is a violation: the connection cannot be used further.
    package struct Limits: Sendable {
        /// Bytes of a line: a simple string, an error, a number, a length (default: 64 KiB).
        package var lineLength = 64 << 10
        /// Bytes of one string (default: 64 MiB).
        package var bulkLength = 64 << 20
        /// Bytes of one whole reply (default: 128 MiB).
        package var replyLength = 128 << 20
        /// Aggregates within aggregates (default: 32).
        ///
        /// Redis itself nests fewer than ten.
        package var depth = 32
        /// Values in one whole reply, on all levels (default: 1,048,576).
        package var elements = 1 << 20

        /// The default limits.
        package init() {}
    }

    /// What no Redis server sends.
    package enum Violation: Error, Sendable, Hashable {
        /// It does not follow the specification; the text says where.
        case malformed(String)
        /// It goes past a limit; the text names it.
        case tooLong(String)
    }

    /// An aggregate whose values have not all come in.
    private struct Frame {
        enum Kind { case array, map, set, push, attribute }
        let kind: Kind
        var remaining: Int
        var values: [RedisReply] = []
    }

    /// What the next bytes belong to.
    private enum Expected {
        case line
        case bulk(type: UInt8, length: Int)
    }

    private let limits: Limits
    private var buffer: [UInt8] = []
    /// Everything before it is done with.
    private var position = 0
    /// Everything between `position` and it is known to hold no line end.
    private var scanned = 0
    private var expected = Expected.line
    private var frames: [Frame] = []
    private var elements = 0
    private var replyLength = 0
    private var violation: Violation?

    /// Makes a parser for one connection.
    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Takes the bytes that came in next.
    package mutating func append(_ bytes: some Collection<UInt8>) {
        if position == buffer.count {
            // A buffer that one big reply has blown up is given back.
            buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 20)
            (position, scanned) = (0, 0)
        } else if position > 4096, position > buffer.count / 2 {
            // At most as many bytes are moved as were done with since the last time: linear in all.
            buffer.removeSubrange(..<position)
            (position, scanned) = (0, scanned - position)
        }
        buffer.append(contentsOf: bytes)
    }

    /// Gives the next whole reply, `nil` when more bytes are needed.
    ///
    /// - Throws: ``Violation`` for what follows no specification or goes past a limit, and from then on each time.
    package mutating func next() throws(Violation) -> RedisReply? {
        if let violation { throw violation }
        do {
            while let value = try nextValue() {
                if let reply = try complete(value) {
                    (elements, replyLength) = (0, 0)
                    return reply
                }
            }
            return nil
        } catch {
            violation = error
            buffer = []
            frames = []
            throw error
        }
    }

    /// Puts a value where it belongs; gives it back when it is a whole reply, `nil` when its aggregate wants more.
    private mutating func complete(_ value: RedisReply?) throws(Violation) -> RedisReply? {
        var value = value
        while let depth = frames.indices.last {
            if let value {
                frames[depth].values.append(value)
                frames[depth].remaining -= 1
            }
            guard frames[depth].remaining == 0 else { return nil }
            value = Self.reply(frames.removeLast())
            // An attribute only annotates the value that follows it.
            if value == nil { return nil }
        }
        return value
    }

    /// Reads one value, or an aggregate's header (given as an empty optional); `nil` when more bytes are needed.
    private mutating func nextValue() throws(Violation) -> RedisReply?? {
        if case .bulk(let type, let length) = expected { return try bulk(type, length) }
        guard let line = try line() else { return nil }
        let (type, text) = (buffer[line.lowerBound], line.dropFirst())
        elements += 1
        guard elements <= limits.elements else { throw .tooLong("more than \(limits.elements) values in a reply") }
        switch type {
        case UInt8(ascii: "+"): return .some(.simple(string(text)))
        case UInt8(ascii: "-"): return .some(.error(RedisReplyError(string(text))))
        case UInt8(ascii: ":"): return .some(.integer(try integer(text)))
        case UInt8(ascii: "_"): return text.isEmpty ? .some(.null) : try malformed("null")
        case UInt8(ascii: "#"): return .some(.boolean(try boolean(text)))
        case UInt8(ascii: ","): return .some(.double(try double(text)))
        case UInt8(ascii: "("): return .some(.bigNumber(try bigNumber(text)))
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            guard let length = try length(text) else { return .some(.null) }
            guard length <= limits.bulkLength else { throw .tooLong("a string of \(length) bytes") }
            expected = .bulk(type: type, length: length)
            return try bulk(type, length)
        case UInt8(ascii: "*"): return try open(.array, text)
        case UInt8(ascii: "%"): return try open(.map, text)
        case UInt8(ascii: "~"): return try open(.set, text)
        case UInt8(ascii: ">"):
            guard frames.isEmpty else { return try malformed("push within a reply") }
            return try open(.push, text)
        case UInt8(ascii: "|"): return try open(.attribute, text)
        default: return try malformed("type byte \(type)")
        }
    }

    private mutating func open(_ kind: Frame.Kind, _ text: Range<Int>) throws(Violation) -> RedisReply?? {
        guard let count = try length(text) else { return .some(.null) }
        // Values that must still come are counted by what comes; the announced count is only refused early.
        guard count <= limits.elements else { throw .tooLong("an aggregate of \(count) values") }
        guard frames.count < limits.depth else { throw .tooLong("more than \(limits.depth) levels") }
        let isPaired = kind == .map || kind == .attribute
        let frame = Frame(kind: kind, remaining: isPaired ? 2 * count : count)
        if count == 0 { return .some(Self.reply(frame)) }
        frames.append(frame)
        return .some(nil)
    }

    private static func reply(_ frame: Frame) -> RedisReply? {
        switch frame.kind {
        case .array: .array(frame.values)
        case .set: .set(frame.values)
        case .push: .push(frame.values)
        case .attribute: nil
        case .map:
            .map(
                stride(from: 0, to: frame.values.count, by: 2).map {
                    RedisReply.Pair(frame.values[$0], frame.values[$0 + 1])
                }
            )
        }
    }
}

// MARK: Lines and strings
extension ReplyParser {
    /// Takes the next line: the range of its type byte and text, without the line end.
    private mutating func line() throws(Violation) -> Range<Int>? {
        let start = position
        while scanned < buffer.count, buffer[scanned] != UInt8(ascii: "\n") { scanned += 1 }
        let limit = limits.lineLength
        guard scanned - start <= limit else { throw .tooLong("a line of more than \(limit) bytes") }
        guard scanned < buffer.count else { return nil }
        guard scanned - start >= 2, buffer[scanned - 1] == UInt8(ascii: "\r") else { return try malformed("line end") }
        let end = scanned - 1
        try advance(to: scanned + 1)
        return start..<end
    }

    /// Takes a string and its line end once all of it is there.
    private mutating func bulk(_ type: UInt8, _ length: Int) throws(Violation) -> RedisReply?? {
        let (start, end) = (position, position + length)
        guard buffer.count >= end + 2 else { return nil }
        guard buffer[end] == UInt8(ascii: "\r"), buffer[end + 1] == UInt8(ascii: "\n") else {
            return try malformed("end of a string")
        }
        try advance(to: end + 2)
        expected = .line
        switch type {
        case UInt8(ascii: "!"): return .some(.error(RedisReplyError(string(start..<end))))
        case UInt8(ascii: "="):
            guard length >= 4, buffer[start + 3] == UInt8(ascii: ":") else { return try malformed("verbatim string") }
            return .some(.verbatim(format: string(start..<start + 3), Array(buffer[start + 4..<end])))
        default: return .some(.bulk(Array(buffer[start..<end])))
        }
    }

    private mutating func advance(to end: Int) throws(Violation) {
        replyLength += end - position
        (position, scanned) = (end, end)
        let limit = limits.replyLength
        guard replyLength <= limit else { throw .tooLong("a reply of more than \(limit) bytes") }
    }

    private func string(_ range: Range<Int>) -> String { String(decoding: buffer[range], as: UTF8.self) }

    private func integer(_ text: Range<Int>) throws(Violation) -> Int64 {
        var (rest, isNegative) = (text, false)
        if let first = rest.first, buffer[first] == UInt8(ascii: "-") || buffer[first] == UInt8(ascii: "+") {
            isNegative = buffer[first] == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        guard !rest.isEmpty else { return try malformed("integer") }
        var value: Int64 = 0
        for index in rest {
            let digit = Int64(buffer[index]) - 0x30
            guard (0...9).contains(digit) else { return try malformed("integer") }
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(isNegative ? -digit : digit)
            guard !overflow, !carry else { return try malformed("integer of more than 64 bits") }
            value = sum
        }
        return value
    }

    /// The length of a string or aggregate, `nil` for the -1 that RESP2 calls null.
    private func length(_ text: Range<Int>) throws(Violation) -> Int? {
        let value = try integer(text)
        if value == -1 { return nil }
        guard value >= 0 else { return try malformed("negative length") }
        return Int(value)
    }

    private func boolean(_ text: Range<Int>) throws(Violation) -> Bool {
        guard text.count == 1 else { return try malformed("boolean") }
        switch buffer[text.lowerBound] {
        case UInt8(ascii: "t"): return true
        case UInt8(ascii: "f"): return false
        default: return try malformed("boolean")
        }
    }

    private func double(_ text: Range<Int>) throws(Violation) -> Double {
        // `Double` reads hexadecimal and "infinity", too, which RESP does not have.
        let isPlain = buffer[text].allSatisfy { "+-.0123456789eEinfa".utf8.contains($0) }
        guard isPlain, let value = Double(string(text)) else { return try malformed("double") }
        return value
    }

    private func bigNumber(_ text: Range<Int>) throws(Violation) -> String {
        let digits = buffer[text.lowerBound] == UInt8(ascii: "-") ? text.dropFirst() : text
        guard !digits.isEmpty, buffer[digits].allSatisfy({ (0x30...0x39).contains($0) }) else {
            return try malformed("big number")
        }
        return string(text)
    }

    private func malformed<Value>(_ what: String) throws(Violation) -> Value { throw .malformed(what) }
}
