package import Redlock

/// A job as it is submitted; every field is within its bounds.
package struct NewJob: Sendable, Equatable {
    /// The most bytes that a value has: 1 MiB.
    package static let maximumValueBytes = 1 << 20
    /// What a task may be declared to take, in milliseconds: up to a day.
    package static let durationRange: ClosedRange<Int64> = 0...86_400_000
    /// What a lock's time to live may be, in milliseconds: 1 s to the longest that a restarted node is kept out for.
    package static let lockTTLRange: ClosedRange<Int64> = 1000...RedlockConfiguration().longestTTL.milliseconds
    /// How long a task is declared to take unless the client says so: the seed's 10 s.
    package static let defaultDuration: Duration = .seconds(10)
    /// A lock's time to live unless the client says so: the seed's 20 s.
    package static let defaultLockTTL: Duration = .seconds(20)

    package let key: LockKey
    package let value: String
    package let duration: Duration
    package let lockTTL: Duration
    package let kind = LockAndSet.kind
    package let queue = "default"
    package let priority: Int32 = 5
    package let maxAttempts: Int32 = 20

    /// Takes what came from outside.
    ///
    /// - Parameters:
    ///   - key: 1 to 512 bytes, outside the reserved prefixes.
    ///   - value: At most 1 MiB, without NUL.
    ///   - durationMs: How long the task is declared to take; `nil` takes the default.
    ///   - lockTTLMs: The lock's time to live; `nil` takes the default.
    ///   - defaultDuration: For `durationMs`.
    /// - Throws: ``InvalidField``, the first one that is out of bounds.
    package init(
        key: String,
        value: String,
        durationMs: Int64? = nil,
        lockTTLMs: Int64? = nil,
        defaultDuration: Duration = NewJob.defaultDuration
    ) throws(InvalidField) {
        self.key = try Self.key(key)
        self.value = try Self.value(value)
        duration = try Self.duration(durationMs, in: Self.durationRange, field: "durationMs") ?? defaultDuration
        lockTTL = try Self.duration(lockTTLMs, in: Self.lockTTLRange, field: "lockTtlMs") ?? Self.defaultLockTTL
    }

    /// Checks a key.
    package static func key(_ text: String) throws(InvalidField) -> LockKey {
        do throws(LockKey.Invalid) {
            return try LockKey(text)
        } catch {
            throw InvalidField("key", error.description)
        }
    }

    /// Checks a value.
    package static func value(_ text: String) throws(InvalidField) -> String {
        guard text.utf8.count <= maximumValueBytes else {
            throw InvalidField("value", "must have at most \(maximumValueBytes) bytes, and has \(text.utf8.count)")
        }
        guard !text.utf8.contains(0) else { throw InvalidField("value", "must not contain a NUL character") }
        return text
    }

    private static func duration(
        _ milliseconds: Int64?,
        in range: ClosedRange<Int64>,
        field: String
    ) throws(InvalidField) -> Duration? {
        guard let milliseconds else { return nil }
        guard range.contains(milliseconds) else {
            throw InvalidField(
                field,
                "must be from \(range.lowerBound) to \(range.upperBound) ms, and is \(milliseconds)"
            )
        }
        return .milliseconds(milliseconds)
    }
}
