/// Reads the append-only file of a Redis node: what took effect on it, in its order, by its own word.
package enum ValueLog {
    private static let fencePrefix = "holdfast:fence:"

    /// The fenced writes of a log.
    ///
    /// - Parameter bytes: The file; a command that was cut off by a crash ends it.
    /// - Returns: The writes, in the order in which they took effect.
    package static func writes(in bytes: [UInt8]) -> [ValueWrite] {
        var reader = Reader(bytes: bytes)
        var writes: [ValueWrite] = []
        while let words = reader.nextCommand() {
            guard words.count == 5, words[0].lowercased() == "mset", words[3] == fencePrefix + words[1],
                let fence = Int64(words[4])
            else { continue }
            writes.append(ValueWrite(key: words[1], value: words[2], fence: fence))
        }
        return writes
    }

    private struct Reader {
        let bytes: [UInt8]
        var place = 0

        mutating func nextCommand() -> [String]? {
            // Lines such as `#TS:1700000000` are notes.
            while place < bytes.count, bytes[place] == UInt8(ascii: "#") {
                guard line() != nil else { return nil }
            }
            guard let count = number(after: "*") else { return nil }
            var words: [String] = []
            for _ in 0..<count {
                guard let length = number(after: "$"), place + length + 2 <= bytes.count else { return nil }
                words.append(String(decoding: bytes[place..<place + length], as: UTF8.self))
                place += length + 2
            }
            return words
        }

        private mutating func number(after mark: Unicode.Scalar) -> Int? {
            guard place < bytes.count, bytes[place] == UInt8(ascii: mark), let text = line() else { return nil }
            return Int(text.dropFirst()).flatMap { $0 >= 0 ? $0 : nil }
        }

        private mutating func line() -> String? {
            guard let end = bytes[place...].firstIndex(of: 13), end + 1 < bytes.count else { return nil }
            defer { place = end + 2 }
            return String(decoding: bytes[place..<end], as: UTF8.self)
        }
    }
}
