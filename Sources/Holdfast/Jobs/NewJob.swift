package import Postgres
package import Redlock

/// A job as it is submitted; every field is within its bounds.
package struct NewJob: Sendable, Equatable {
    package var key: LockKey
    package var value: String
    package var kind = LockAndSet.kind
    package var queue = NewJob.defaultQueue
    package var priority = NewJob.defaultPriority
    /// When it joins its line; `nil` for at once.
    package var runAt: PostgresTimestamp?
    package var maxAttempts = NewJob.defaultMaxAttempts
    package var lockTTL = NewJob.defaultLockTTL
    package var duration = NewJob.defaultDuration
    /// How long an attempt's task may run; `nil` for its duration, and the worker's grace.
    package var timeout: Duration?
    /// A JSON text.
    package var metadata: String?
    package var traceparent: String?
    package var idempotencyKey: String?

    /// Takes a key and a value that have been checked.
    package init(_ key: LockKey, _ value: String) {
        self.key = key
        self.value = value
    }

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
        duration =
            try durationMs.map { value throws(InvalidField) in
                try Self.duration(value, in: Self.durationRange, field: "durationMs")
            } ?? defaultDuration
        if let lockTTLMs { lockTTL = try Self.duration(lockTTLMs, in: Self.lockTTLRange, field: "lockTtlMs") }
    }
}
