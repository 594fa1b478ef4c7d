import Redlock
import Synchronization

/// The line of a key has been locked by another session of the database for some seconds; nothing was stored.
package struct LockedLine: Error, CustomStringConvertible {
    let key: LockKey

    package var description: String {
        """
        another session of the database keeps the line of this job's key locked, an open transaction perhaps; nothing was \
        stored, try again
        """
    }
}

/// Keys whose lines were found to be locked, for some seconds after that.
final class KeysAside: Sendable {
    private static let time: Duration = .seconds(5)
    /// More are not kept; those would be found out anew.
    private static let limit = 10_000

    private let keys = Mutex<[LockKey: ContinuousClock.Instant]>([:])

    func contains(_ key: LockKey, at now: ContinuousClock.Instant) -> Bool {
        keys.withLock { keys in keys.isEmpty ? false : keys[key].map { now < $0 } ?? false }
    }

    /// Notes which of some keys have locked lines; the others have not, or no more.
    func note(_ locked: Set<LockKey>, of all: Set<LockKey>, at now: ContinuousClock.Instant) {
        keys.withLock { keys in
            for key in all { keys[key] = nil }
            if keys.count + locked.count > Self.limit { keys = keys.filter { now < $0.value } }
            for key in locked where keys.count < Self.limit { keys[key] = now.advanced(by: Self.time) }
        }
    }
}
