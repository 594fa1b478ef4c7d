import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TimestampFuzzTests {
    @Test func `any text is read as a calendar that knows nothing of ours reads it`() throws {
        let seed = UInt64.random(in: 1...1_000_000)
        var mutations = try Mutations(
            of: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus"),
            words: ["0", "00", "9", "23", "59", "60", "29", "30", "31", "02-29", "T", "Z", "+", "-", ":", ".", "٣"],
            seed: seed
        )
        let failure = mutations.failure(among: 10_000) { TimestampProperties.failure(of: $0) }
        #expect(failure == nil, "seed \(seed)")
    }
}
