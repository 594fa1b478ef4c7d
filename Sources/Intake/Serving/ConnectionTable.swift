import NIOCore
import Synchronization

/// A connection that is open, as others see it.
final class OpenConnection: Sendable {
    let channel: any Channel
    /// Since when it waits for its client, in ns of the monotonic clock; 0 while it does not.
    let waitingSince: Atomic<UInt64>

    init(_ channel: any Channel, now: NIODeadline) {
        self.channel = channel
        waitingSince = Atomic(now.uptimeNanoseconds)
    }
}

/// The connections that are open, and who makes place when there are too many.
final class ConnectionTable: Sendable {
    /// Tells a connection to close if its client still keeps it waiting.
    struct MakePlace: Sendable {}

    private let limit: Int
    private let open = Mutex<[ObjectIdentifier: OpenConnection]>([:])

    init(limit: Int) { self.limit = limit }

    /// How many connections are open.
    var count: Int { open.withLock(\.count) }

    /// Takes a new connection in; when there are too many, the one that has waited longest for its client is closed.
    ///
    /// - Returns: Whether there is a place for it.
    func enter(_ connection: OpenConnection) -> Bool {
        let (isAdmitted, waiting) = open.withLock { open in
            guard open.count >= limit else {
                open[ObjectIdentifier(connection)] = connection
                return (true, OpenConnection?.none)
            }
            // Looks at all of them, but only here: what each request does to its connection's entry is one atomic store.
            let longest = open.values.filter { $0.waitingSince.load(ordering: .relaxed) > 0 }
                .min { $0.waitingSince.load(ordering: .relaxed) < $1.waitingSince.load(ordering: .relaxed) }
            guard let longest else { return (false, nil) }
            open[ObjectIdentifier(longest)] = nil
            open[ObjectIdentifier(connection)] = connection
            return (true, longest)
        }
        waiting?.channel.pipeline.fireUserInboundEventTriggered(MakePlace())
        return isAdmitted
    }

    func leave(_ connection: OpenConnection) {
        open.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(connection)) }
    }
}
