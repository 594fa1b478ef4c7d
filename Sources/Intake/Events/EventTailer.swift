import HTTPTypes
import Holdfast
import Logging
import Synchronization

/// Follows the lock history while anybody listens, once for all listeners of the process.
final class EventTailer: Sendable {
    /// What a listener gets.
    enum Message: Sendable {
        case event(ShownEvent)
        /// Nothing has happened for a while.
        case keepAlive
    }

    private struct Listener {
        let key: String?
        let job: JobID?
        let client: Client
        let messages: AsyncStream<Message>.Continuation
    }

    private struct State {
        var places: Places
        var listeners: [Int: Listener] = [:]
        var lastID = 0
        /// The last event that was passed on; `nil` while nobody listens.
        var position: Int64?
        var isClosed = false
    }

    /// The most listeners, unless there may be fewer connections.
    static let listenerLimit = 1000
    /// The events that may wait for a listener; one that is slower is sent away, and may come again.
    static let bufferLimit = 2000
    private static let interval: Duration = .milliseconds(200)
    private static let keepAliveInterval: Duration = .seconds(15)
    /// Between two looks for listeners who may listen no more.
    private static let checkInterval: Duration = .seconds(1)
    private static let pageSize = 1000

    let reader: EventReader
    private let isAdmitted: @Sendable (Client) -> Bool
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - reader: Of the history.
    ///   - limit: The most listeners.
    ///   - isAdmitted: Whether a client may still listen; its token may have been revoked.
    ///   - logger: For what goes wrong.
    init(
        reader: EventReader,
        limit: Int = EventTailer.listenerLimit,
        isAdmitted: @escaping @Sendable (Client) -> Bool = { _ in true },
        logger: Logger
    ) {
        self.reader = reader
        self.isAdmitted = isAdmitted
        self.logger = logger
        state = Mutex(State(places: Places(limit: limit)))
    }

    /// How many listen now.
    var listenerCount: Int { state.withLock { $0.listeners.count } }

    /// Listens from now on.
    ///
    /// - Throws: ``Problem`` when there are too many listeners, or the intake shuts down; `PostgresError`.
    func subscribe(key: String?, job: JobID?, client: Client = .anyone) async throws -> EventSubscription {
        let known = state.withLock { $0.position }
        var last = known ?? 0
        if known == nil { last = try await reader.last() }
        let (messages, continuation) = AsyncStream.makeStream(
            of: Message.self,
            bufferingPolicy: .bufferingOldest(Self.bufferLimit)
        )
        let (id, position) = try state.withLock { state in
            guard !state.isClosed else {
                throw Problem(.serviceUnavailable, "the intake shuts down; try again", retryAfter: 1)
            }
            try state.places.take(client.token, "listeners")
            let position = state.position ?? last
            state.position = position
            state.lastID += 1
            state.listeners[state.lastID] = Listener(key: key, job: job, client: client, messages: continuation)
            return (state.lastID, position)
        }
        return EventSubscription(messages: messages, position: position, end: { continuation.finish() }) { [self] in
            state.withLock { state in
                guard state.listeners.removeValue(forKey: id) != nil else { return }
                state.places.giveBack(client.token)
            }
        }
    }

    /// Passes events on until its task is cancelled; ends every listener's stream then.
    func run() async {
        var order = EventOrder(after: -1)
        var isFailing = false
        var lastKeepAlive = ContinuousClock.now
        var lastCheck = ContinuousClock.now
        while !Task.isCancelled {
            let position = state.withLock { state in
                if state.listeners.isEmpty { state.position = nil }
                return state.position
            }
            if let position {
                if order.position != position { order = EventOrder(after: position) }
                do {
                    let snapshot = try await reader.snapshot()
                    let events = try await reader.events(after: position, limit: Self.pageSize)
                    let count = order.letOut(events.map(\.id), snapshot, now: .now)
                    pass(events.prefix(count), upTo: order.position)
                    isFailing = false
                    if count == Self.pageSize { continue }
                } catch {
                    if !isFailing, !Task.isCancelled {
                        logger.warning("Events not read", metadata: ["error": "\(error)"])
                    }
                    isFailing = true
                }
                if lastCheck.duration(to: .now) > Self.checkInterval {
                    lastCheck = .now
                    let listeners = state.withLock { Array($0.listeners.values) }
                    for listener in listeners where !isAdmitted(listener.client) { listener.messages.finish() }
                }
                if lastKeepAlive.duration(to: .now) > Self.keepAliveInterval {
                    lastKeepAlive = .now
                    let listeners = state.withLock { Array($0.listeners.values) }
                    for listener in listeners { listener.messages.yield(.keepAlive) }
                }
            }
            try? await Task.sleep(for: Self.interval)  // Cancelled: the loop ends.
        }
        let listeners = state.withLock { state in
            state.isClosed = true
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.messages.finish() }
    }

    private func pass(_ events: some Sequence<ShownEvent>, upTo position: Int64) {
        // The position and the listeners change together: who comes later reads what is before it from the history.
        let listeners = state.withLock { state in
            state.position = position
            return Array(state.listeners.values)
        }
        for event in events {
            for listener in listeners where listener.key.map({ $0 == event.key }) ?? true {
                guard listener.job == nil || listener.job == event.job else { continue }
                if case .dropped = listener.messages.yield(.event(event)) { listener.messages.finish() }
            }
        }
    }
}

/// A listener's events; it ends when this is let go.
final class EventSubscription: Sendable {
    let messages: AsyncStream<EventTailer.Message>
    /// Later events come in ``messages``.
    let position: Int64
    /// Ends ``messages``.
    let end: @Sendable () -> Void
    private let onEnd: @Sendable () -> Void

    init(
        messages: AsyncStream<EventTailer.Message>,
        position: Int64,
        end: @escaping @Sendable () -> Void,
        onEnd: @escaping @Sendable () -> Void
    ) {
        self.messages = messages
        self.position = position
        self.end = end
        self.onEnd = onEnd
    }

    deinit { onEnd() }
}
