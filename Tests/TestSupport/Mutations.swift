package import Foundation
import Randomness

/// Inputs for a parser: those of a corpus, and mutations of them that follow from a seed.
package struct Mutations {
    private let corpus: [[UInt8]]
    private let words: [[UInt8]]
    private var random: SeededRandom

    /// - Parameters:
    ///   - folder: Whose files are the corpus.
    ///   - words: What often stands in such inputs; put in here and there.
    ///   - seed: What the mutations follow from.
    /// - Throws: When the corpus cannot be read, or is empty.
    package init(of folder: URL, words: [String], seed: UInt64) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        corpus = try names.map { try Array(Data(contentsOf: folder.appending(path: $0))) }
        guard !corpus.isEmpty else { throw CocoaError(.fileReadNoSuchFile) }
        self.words = words.map { Array($0.utf8) }
        random = SeededRandom(state: seed)
    }

    /// Calls `check` with each input of the corpus, and with so many mutations.
    ///
    /// - Returns: The first input, as text and in hexadecimal, of which `check` says what is wrong; `nil` when it finds nothing.
    package mutating func failure(among count: Int, _ check: ([UInt8]) -> String?) -> String? {
        for number in 0..<corpus.count + count {
            let input = number < corpus.count ? corpus[number] : next()
            guard let wrong = check(input) else { continue }
            let bytes = input.map { String($0, radix: 16) }.joined(separator: " ")
            return "\(wrong), for \(String(reflecting: String(decoding: input, as: UTF8.self))) (\(bytes))"
        }
        return nil
    }

    private mutating func next() -> [UInt8] {
        var input = pick(corpus)
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let from = Int.random(in: 0...input.count, using: &random)
            let to = min(input.count, from + Int.random(in: 0...8, using: &random))
            switch Int.random(in: 0..<7, using: &random) {
            case 0: input.removeSubrange(from..<to)
            case 1: input.insert(contentsOf: input[from..<to], at: from)
            case 2: input.insert(.random(in: .min ... .max, using: &random), at: from)
            case 3 where from < input.count: input[from] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 4: input.insert(contentsOf: pick(words), at: from)
            case 5: input.replaceSubrange(from..<to, with: pick(words))
            default:
                let other = pick(corpus)
                let start = Int.random(in: 0...other.count, using: &random)
                input.replaceSubrange(from..., with: other[start...])
            }
        }
        return input
    }

    private mutating func pick(_ list: [[UInt8]]) -> [UInt8] { list[Int.random(in: list.indices, using: &random)] }
}
