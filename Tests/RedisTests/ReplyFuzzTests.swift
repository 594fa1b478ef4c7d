import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ReplyFuzzTests {
    @Test func `any bytes are read the same wherever they are cut, and what was read is read back`() throws {
        let seed = UInt64.random(in: 1...1_000_000)
        var mutations = try Mutations(
            of: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus"),
            words: [
                "\r\n", "*2\r\n", "%1\r\n", "~1\r\n", ">1\r\n", "|1\r\n", "$3\r\n", "$-1\r\n", "_\r\n", "=4\r\n",
                "!1\r\n", ":1\r\n",
            ],
            seed: seed
        )
        let failure = mutations.failure(among: 10_000) { ReplyProperties.failure(of: $0) }
        #expect(failure == nil, "seed \(seed)")
    }
}
