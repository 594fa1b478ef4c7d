import Redlock
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LockKeyTests {
    @Test(arguments: [
        "k", "a key with spaces", "schlüssel", "鍵🔑", "lock", "locks", "Locks:x", "a locks:x", "holdfastx",
        String(repeating: "a", count: 512), String(repeating: "ü", count: 256),
    ])
    func `a key within the bounds is taken as it is`(text: String) throws {
        let key = try LockKey(text)
        #expect(key.text == text)
        #expect(key.description == text)
    }

    @Test(arguments: [
        (text: "", reason: "must not be empty"),
        (text: String(repeating: "a", count: 513), reason: "must have at most 512 bytes, and has 513"),
        (text: String(repeating: "ü", count: 257), reason: "must have at most 512 bytes, and has 514"),
        (text: "\0", reason: "must not contain a NUL character"),
        (text: "a\0b", reason: "must not contain a NUL character"),
        (text: "locks:x", reason: "must not begin with locks:, which is reserved"),
        (text: "locks:", reason: "must not begin with locks:, which is reserved"),
        (text: "holdfast:x", reason: "must not begin with holdfast:, which is reserved"),
        (text: "holdfast:fence:x", reason: "must not begin with holdfast:, which is reserved"),
        // A combining accent makes one character of the colon: the bytes on the node begin with the prefix all the same.
        (text: "locks:\u{301}x", reason: "must not begin with locks:, which is reserved"),
    ])
    func `a key out of bounds is refused, and the error says why`(text: String, reason: String) {
        let error = #expect(throws: LockKey.Invalid.self) { try LockKey(text) }
        #expect(error?.description == reason)
    }

    @Test
    func `keys are ordered by bytes, as the database orders them`() throws {
        let keys = try ["é", "z", "Z", "a", "🔑", "ａ"].map { try LockKey($0) }
        #expect(keys.sorted().map(\.text) == ["Z", "a", "z", "é", "ａ", "🔑"])
    }

    @Test
    func `keys of different bytes are different keys`() throws {
        // The same character in two encodings: Redis and the database tell them apart.
        let composed = try LockKey("\u{E9}")
        let decomposed = try LockKey("e\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }
}
