package import Redlock

/// What a submission may hold; `holdfast.submit` has the same bounds.
extension NewJob {
    /// The most bytes that a value has: 1 MiB.
    package static let maximumValueBytes = 1 << 20
    /// The most bytes of metadata, as JSON: 16 KiB.
    package static let maximumMetadataBytes = 16 << 10
    /// The most bytes that a kind and a queue's name have.
    package static let maximumNameBytes = 128
    /// The most bytes that an idempotency key has.
    package static let maximumIdempotencyKeyBytes = 255
    /// 0 is first.
    package static let priorityRange: ClosedRange<Int64> = 0...9
    package static let maxAttemptsRange: ClosedRange<Int64> = 1...1000
    /// What a task may be declared to take, in milliseconds: up to a day.
    package static let durationRange: ClosedRange<Int64> = 0...86_400_000
    /// How long an attempt's task may run, in milliseconds: up to a week.
    package static let timeoutRange: ClosedRange<Int64> = 1...604_800_000
    /// What a lock's time to live may be, in milliseconds: 1 s to the longest that a restarted node is kept out for.
    package static let lockTTLRange: ClosedRange<Int64> = 1000...RedlockConfiguration().longestTTL.milliseconds

    package static let defaultQueue = "default"
    package static let defaultPriority: Int32 = 5
    package static let defaultMaxAttempts: Int32 = 20
    /// How long a task is declared to take unless the client says so: the seed's 10 s.
    package static let defaultDuration: Duration = .seconds(10)
    /// A lock's time to live unless the client says so: the seed's 20 s.
    package static let defaultLockTTL: Duration = .seconds(20)

    /// Checks a key.
    package static func key(_ text: String) throws(InvalidField) -> LockKey {
        guard !isDots(text) else { throw InvalidField("key", dotsReason) }
        do throws(LockKey.Invalid) {
            return try LockKey(text)
        } catch {
            throw InvalidField("key", error.description)
        }
    }

    /// Checks a value.
    package static func value(_ text: String) throws(InvalidField) -> String {
        try bounded(text, upTo: maximumValueBytes, field: "value")
    }

    /// Checks the name of a queue or of a kind.
    package static func name(_ text: String, field: String) throws(InvalidField) -> String {
        guard !text.isEmpty else { throw InvalidField(field, "must not be empty") }
        guard !isDots(text) else { throw InvalidField(field, dotsReason) }
        return try bounded(text, upTo: maximumNameBytes, field: field)
    }

    private static let dotsReason = "must not be . or .., which no path can name"
    /// Whether it is what a client takes out of a path, however it is encoded, before anybody gets to see it.
    private static func isDots(_ text: String) -> Bool { text == "." || text == ".." }

    /// Checks a text.
    package static func bounded(_ text: String, upTo limit: Int, field: String) throws(InvalidField) -> String {
        guard text.utf8.count <= limit else {
            throw InvalidField(field, "must have at most \(limit) bytes, and has \(text.utf8.count)")
        }
        guard !text.utf8.contains(0) else { throw InvalidField(field, "must not contain a NUL character") }
        return text
    }

    /// Checks a duration in milliseconds.
    package static func duration(
        _ milliseconds: Int64,
        in range: ClosedRange<Int64>,
        field: String
    ) throws(InvalidField) -> Duration {
        guard range.contains(milliseconds) else {
            throw InvalidField(
                field,
                "must be from \(range.lowerBound) to \(range.upperBound) ms, and is \(milliseconds)"
            )
        }
        return .milliseconds(milliseconds)
    }

    /// Checks a number.
    package static func number(
        _ value: Int64,
        in range: ClosedRange<Int64>,
        field: String
    ) throws(InvalidField) -> Int32 {
        guard range.contains(value) else {
            throw InvalidField(field, "must be from \(range.lowerBound) to \(range.upperBound), and is \(value)")
        }
        return Int32(value)
    }
}
