/// What a lock is on: 1 to 512 bytes of UTF-8 without NUL, outside the reserved prefixes.
public struct LockKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Why a text is no key.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        /// What a key must be, as the predicate of a sentence.
        public let description: String
    }

    /// The most bytes that a key has.
    public static let maximumBytes = 512
    /// What no key begins with: a value would be written over a lock, or over a fence.
    public static let reservedPrefixes = ["locks:", "holdfast:"]

    /// The key as its user wrote it.
    public let text: String

    /// The key as it is; also what a log shows.
    public var description: String { text }

    /// Takes a key that came from outside.
    ///
    /// - Parameter text: The key.
    /// - Throws: ``Invalid`` when it is empty or too long, holds a NUL, or begins with a reserved prefix.
    public init(_ text: String) throws(Invalid) {
        guard !text.isEmpty else { throw Invalid(description: "must not be empty") }
        guard text.utf8.count <= Self.maximumBytes else {
            throw Invalid(description: "must have at most \(Self.maximumBytes) bytes, and has \(text.utf8.count)")
        }
        guard !text.utf8.contains(0) else { throw Invalid(description: "must not contain a NUL character") }
        // By bytes, as Redis compares: a character of the text may be a part of the prefix and an accent that follows it.
        if let prefix = Self.reservedPrefixes.first(where: { text.utf8.starts(with: $0.utf8) }) {
            throw Invalid(description: "must not begin with \(prefix), which is reserved")
        }
        self.text = text
    }

    /// Takes a key that was checked before it was stored.
    package init(stored text: String) { self.text = text }

    /// Compares bytes, as Redis and the database do: `String` takes two encodings of one character for equal.
    public static func == (one: LockKey, other: LockKey) -> Bool { one.text.utf8.elementsEqual(other.text.utf8) }

    /// Goes by bytes, as equality does.
    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }

    /// Orders by bytes, as the database does.
    public static func < (one: LockKey, other: LockKey) -> Bool {
        one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
    }
}
