/// One command, encoded as it goes over the wire: a RESP array of bulk strings.
///
/// `RedisCommand("SET", key, token, "NX", "PX", 20_000)`. It is encoded once, by the task that makes it.
package struct RedisCommand: Sendable, Hashable {
    /// What is sent.
    package let bytes: [UInt8]

    /// Encodes a command.
    ///
    /// - Parameters:
    ///   - name: The command, as in `"SET"`.
    ///   - arguments: What follows it, in order.
    package init(_ name: String, _ arguments: any RedisArgument...) {
        self.init(name, arguments: arguments)
    }

    /// Encodes a command whose arguments are counted only at run time.
    ///
    /// - Parameters:
    ///   - name: The command, as in `"DEL"`.
    ///   - arguments: What follows it, in order.
    package init(_ name: String, arguments: [any RedisArgument]) {
        var encoder = CommandEncoder(count: 1 + arguments.count)
        encoder.append(name)
        for argument in arguments { argument.encode(into: &encoder) }
        bytes = encoder.bytes
    }

    /// Takes what an encoder has written, for commands that are sent so often that a list of arguments costs too much.
    package init(_ encoder: consuming CommandEncoder) {
        bytes = encoder.bytes
    }
}

/// What a command can be given: text, bytes or an integer.
package protocol RedisArgument: Sendable {
    /// Appends the argument as one bulk string.
    func encode(into encoder: inout CommandEncoder)
}

extension String: RedisArgument {
    package func encode(into encoder: inout CommandEncoder) { encoder.append(self) }
}

extension Int: RedisArgument {
    package func encode(into encoder: inout CommandEncoder) { encoder.append(self) }
}

extension Int64: RedisArgument {
    package func encode(into encoder: inout CommandEncoder) { encoder.append(Int(self)) }
}

extension [UInt8]: RedisArgument {
    package func encode(into encoder: inout CommandEncoder) { encoder.append(self) }
}

/// Writes the bytes of one command.
package struct CommandEncoder: Sendable {
    private(set) var bytes: [UInt8] = []

    /// Begins a command.
    ///
    /// - Parameters:
    ///   - count: How many parts it has, the name included.
    ///   - capacity: How many bytes are expected.
    package init(count: Int, capacity: Int = 192) {
        // Enough for a lock's SET or script call; arrays that grow from nothing are copied five times on the way.
        bytes.reserveCapacity(capacity)
        header(UInt8(ascii: "*"), count)
    }

    /// Appends a text as one bulk string.
    package mutating func append(_ text: String) {
        // A native string lends its bytes, and they are copied at once; else (it is rare) they are walked through.
        var text = text
        text.withUTF8 { append(bulk: $0) }
    }

    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { append(bulk: $0) }
    }

    /// Appends a number as one bulk string.
    package mutating func append(_ number: Int) {
        header(UInt8(ascii: "$"), number.decimalDigits + (number < 0 ? 1 : 0))
        decimal(number)
        lineEnd()
    }

    private mutating func append(bulk: UnsafeBufferPointer<UInt8>) {
        header(UInt8(ascii: "$"), bulk.count)
        bytes.append(contentsOf: bulk)
        lineEnd()
    }

    private mutating func header(_ type: UInt8, _ count: Int) {
        bytes.append(type)
        decimal(count)
        lineEnd()
    }

    private mutating func lineEnd() {
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func decimal(_ number: Int) {
        // Most counts and lengths.
        guard number > 9 || number < 0 else { return bytes.append(UInt8(ascii: "0") + UInt8(number)) }
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        let end = bytes.count + number.decimalDigits
        bytes.append(contentsOf: repeatElement(0, count: end - bytes.count))
        var index = end
        repeat {
            index -= 1
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
    }
}

extension Int {
    /// How many digits it has in base ten, without a sign.
    fileprivate var decimalDigits: Int {
        var digits = 1
        var rest = magnitude
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        return digits
    }
}
