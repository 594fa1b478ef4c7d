import Testing

@testable import Intake

struct TokenTests {
    @Test func `a token is read as it was written, whatever its bytes`() throws {
        for byte in UInt8.min ... .max {
            let token = Token(id: Int64(byte) + 1, secret: [UInt8](repeating: byte, count: 32))
            let read = try #require(Token(token.text))
            #expect(read.id == token.id)
            #expect(read.matches(Token.hash([UInt8](repeating: byte, count: 32))))
        }
    }

    @Test func `each bit of a hash counts`() {
        let token = Token(id: 1, secret: [UInt8](repeating: 1, count: 32))
        let hash = Token.hash([UInt8](repeating: 1, count: 32))
        for index in hash.indices {
            for bit in 0..<8 {
                var other = hash
                other[index] ^= 1 << bit
                #expect(!token.matches(other))
            }
        }
        #expect(!token.matches([]) && !token.matches(Array(hash.dropLast())))
    }

    @Test func `no two secrets are alike`() {
        #expect(Set((0..<100).map { _ in Token.makeSecret() }).count == 100)
    }

    @Test(arguments: ["", "hft", "hft_1", "hft_1_", "hft_0_AAAA", "HFT_1_AAAA", "hft_99999999999999999999_AAAA"])
    func `what is no token is not read as one`(text: String) {
        #expect(Token(text) == nil)
    }
}
