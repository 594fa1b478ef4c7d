import Logging
import NIOCore
import Synchronization

/// The connections that are open, what they hold, and who makes place when that is too much.
final class ConnectionTable: Sendable {
    /// Tells a connection to close if its client still keeps it waiting.
    struct MakePlace: Sendable {}

    /// What becomes of a new connection.
    enum Admission: Sendable {
        case admitted
        /// All places are taken: it may ask how the intake does, once.
        case forHealth
        /// It is told that there is no place.
        case refused
        /// There are so many that it is not even told.
        case dropped
    }

    /// Connections beyond the limit that may ask how the intake does, and as many again that are being refused.
    static let reserve = 64
    /// How long a client may send or take nothing of a request before others that need its bytes are served instead.
    private static let patience: TimeAmount = .seconds(1)
    /// Between two looks for those who make place for bytes.
    private static let lookPause: UInt64 = 10_000_000

    private struct State {
        var open: [ObjectIdentifier: (connection: OpenConnection, admission: Admission)] = [:]
        var health = 0
        var refused = 0

        mutating func add(_ connection: OpenConnection, _ admission: Admission) {
            open[ObjectIdentifier(connection)] = (connection, admission)
            if admission == .forHealth { health += 1 }
            if admission == .refused { refused += 1 }
        }

        mutating func remove(_ connection: OpenConnection) {
            let entry = open.removeValue(forKey: ObjectIdentifier(connection))
            if entry?.admission == .forHealth { health -= 1 }
            if entry?.admission == .refused { refused -= 1 }
        }
    }

    let budget: ByteBudget
    private let limit: Int
    private let state = Mutex(State())
    private let lastLook = Atomic<UInt64>(0)
    private let noPlace: LimitNotice
    private let noBytes: LimitNotice

    init(limit: Int, budget: ByteBudget, logger: Logger) {
        self.limit = limit
        self.budget = budget
        noPlace = LimitNotice("All connections are taken, and new ones are refused", logger)
        noBytes = LimitNotice("Requests hold as many bytes as they may, and more are refused", logger)
    }

    /// How many connections are open.
    var count: Int { state.withLock(\.open.count) }

    /// Takes a new connection in; when there are too many, the one that has waited longest for its client is closed, first
    /// of all those that have begun no request.
    func enter(_ connection: OpenConnection) -> Admission {
        let (admission, waiting): (Admission, OpenConnection?) = state.withLock { state in
            var admission = Admission.admitted
            var longest: OpenConnection?
            if state.open.count - state.health - state.refused >= limit {
                // Looks at all of them, but only here: what each request does to its connection's entry is one atomic store.
                longest =
                    state.open.values.lazy.filter { $0.admission == .admitted && $0.connection.rank != nil }
                    .max { $0.connection.rank ?? 0 < $1.connection.rank ?? 0 }?.connection
                if let longest {
                    state.remove(longest)
                } else {
                    admission =
                        state.health < Self.reserve ? .forHealth : state.refused < Self.reserve ? .refused : .dropped
                }
            }
            if admission != .dropped { state.add(connection, admission) }
            return (admission, longest)
        }
        waiting?.channel.pipeline.fireUserInboundEventTriggered(MakePlace())
        if admission != .admitted { noPlace.reached(["connections": "\(limit)"]) }
        return admission
    }

    func leave(_ connection: OpenConnection) { state.withLock { $0.remove(connection) } }

    /// Takes bytes for a request; where they are scarce, clients that stall lose theirs.
    ///
    /// - Returns: Whether there is room.
    func take(_ bytes: Int) -> Bool {
        switch budget.take(bytes) {
        case .fits: return true
        case .isCrowded:
            makePlace()
            return true
        case .isTooMuch:
            makePlace()
            noBytes.reached(["bytes": "\(budget.limit)"])
            return false
        }
    }

    /// Ends the requests whose clients have sent or taken nothing for a while, the longest first, until there is room again.
    private func makePlace() {
        let now = NIODeadline.now()
        let last = lastLook.load(ordering: .relaxed)
        guard now.uptimeNanoseconds - last >= Self.lookPause,
            lastLook.compareExchange(expected: last, desired: now.uptimeNanoseconds, ordering: .relaxed).exchanged
        else { return }
        var needed = budget.limit / 4
        let stalled = state.withLock { state in
            state.open.values.map(\.connection).filter { connection in
                connection.held.load(ordering: .relaxed) > 0
                    && (connection.stall(now: now).map { $0 > Self.patience } ?? false)
            }
        }
        for connection in stalled.sorted(by: { $0.rank ?? 0 > $1.rank ?? 0 }) where needed > 0 {
            needed -= connection.held.load(ordering: .relaxed)
            connection.channel.pipeline.fireUserInboundEventTriggered(MakePlace())
        }
    }
}

/// Says in the log that a limit has been reached: at once, and then once a minute for as long as it is.
private final class LimitNotice: Sendable {
    private static let pause: Duration = .seconds(60)

    private let message: Logger.Message
    private let logger: Logger
    private let state = Mutex<(last: ContinuousClock.Instant?, count: Int)>((nil, 0))

    init(_ message: Logger.Message, _ logger: Logger) {
        self.message = message
        self.logger = logger
    }

    func reached(_ metadata: Logger.Metadata) {
        let count: Int? = state.withLock { state in
            state.count += 1
            let now = ContinuousClock.now
            guard state.last.map({ now - $0 >= Self.pause }) ?? true else { return nil }
            defer { state = (now, 0) }
            return state.count
        }
        guard let count else { return }
        logger.warning(message, metadata: metadata.merging(["refused": "\(count)"]) { $1 })
    }
}
