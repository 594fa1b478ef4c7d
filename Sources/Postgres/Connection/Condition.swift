import Synchronization

/// What others may know of a connection without waiting for its queue.
final class Condition: Sendable {
    let isBroken = Atomic(false)
    let isIdle = Atomic(true)
    let isOutdated = Atomic(false)
}
