// Compiled together with the parser alone, too: see Tests/Proof/Fuzzing.
#if canImport(Redis)
    import Redis
#endif

/// What holds of the reply parser for any bytes.
enum ReplyProperties {
    /// Small, so that inputs come up to them.
    private static let limits: ReplyParser.Limits = {
        var limits = ReplyParser.Limits()
        limits.lineLength = 60
        limits.bulkLength = 100
        limits.replyLength = 300
        limits.depth = 4
        limits.elements = 20
        return limits
    }()

    /// - Returns: What is wrong with how some bytes are read; `nil` when nothing is.
    static func failure(of bytes: [UInt8]) -> String? {
        for limits in [Self.limits, ReplyParser.Limits()] {
            let whole = outcome(of: [bytes], limits)
            // Where the input is cut must not matter.
            guard "\(outcome(of: bytes.map { [$0] }, limits))" == "\(whole)" else { return "byte by byte is otherwise" }
            for cut in stride(from: 1, to: bytes.count, by: 1 + bytes.count / 8) {
                let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
                guard "\(outcome(of: pieces, limits))" == "\(whole)" else { return "cut at \(cut) is otherwise" }
            }
            for reply in whole.replies {
                guard let written = written(reply) else { continue }
                let again = outcome(of: [written], ReplyParser.Limits())
                guard "\(again.replies)" == "\([reply])" else { return "\(reply) is read back as \(again)" }
            }
        }
        return nil
    }

    private static func outcome(
        of pieces: [[UInt8]],
        _ limits: ReplyParser.Limits
    ) -> (replies: [RedisReply], violation: ReplyParser.Violation?) {
        var parser = ReplyParser(limits: limits)
        var replies: [RedisReply] = []
        do throws(ReplyParser.Violation) {
            for piece in pieces {
                parser.append(piece)
                while let reply = try parser.next() { replies.append(reply) }
            }
            return (replies, nil)
        } catch {
            return (replies, error)
        }
    }

    /// A reply as RESP3 writes it; `nil` for what was read from bytes that are no text.
    private static func written(_ reply: RedisReply) -> [UInt8]? {
        switch reply {
        case .simple(let text): Array("+\(text)\r\n".utf8)
        case .error(let error): Array("!\(error.message.utf8.count)\r\n\(error.message)\r\n".utf8)
        case .integer(let number): Array(":\(number)\r\n".utf8)
        case .bulk(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10]
        case .null: Array("_\r\n".utf8)
        case .double(let number): Array(",\(number)\r\n".utf8)
        case .boolean(let value): Array("#\(value ? "t" : "f")\r\n".utf8)
        case .bigNumber(let digits): Array("(\(digits)\r\n".utf8)
        case .verbatim(let format, let bytes):
            format.utf8.count == 3
                ? Array("=\(bytes.count + 4)\r\n\(format):".utf8) + bytes + [13, 10] : nil
        case .array(let values): written("*", values.count, values)
        case .set(let values): written("~", values.count, values)
        case .push(let values): written(">", values.count, values)
        case .map(let pairs): written("%", pairs.count, pairs.flatMap { [$0.key, $0.value] })
        }
    }

    private static func written(_ type: String, _ count: Int, _ values: [RedisReply]) -> [UInt8]? {
        var bytes = Array("\(type)\(count)\r\n".utf8)
        for value in values {
            guard let written = written(value) else { return nil }
            bytes += written
        }
        return bytes
    }
}
