import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What others may know of a connection without waiting for its queue.
final class Condition: Sendable {
    let isBroken = Atomic(false)
    let isIdle = Atomic(true)
    let isOutdated = Atomic(false)

    /// Whether there is something to read, or the other end is closed.
    ///
    /// Only to be asked while nobody uses the connection.
    func hasInput(descriptor: Int32) -> Bool {
        var descriptor = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) != 0
    }
}
