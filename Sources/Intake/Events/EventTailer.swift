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
        let messages: AsyncStream<Message>.Continuation
    }

    private struct State {
        var listeners: [Int: Listener] = [:]
        var lastID = 0
        /// The last event that was passed on; `nil` while nobody listens.
        var position: Int64?
        var isClosed = false
    }

    /// The most listeners.
    static let listenerLimit = 1000
    /// The events that may wait for a listener; one that is slower is sent away, and may come again.
    static let bufferLimit = 2000
    private static let interval: Duration = .milliseconds(200)
    private static let keepAliveInterval: Duration = .seconds(15)
    private static let pageSize = 1000

    let reader: EventReader
    private let logger: Logger
    private let state = Mutex(State())

    init(reader: EventReader, logger: Logger) {
        self.reader = reader
        self.logger = logger
    }

    /// How many listen now.
    var listenerCount: Int { state.withLock { $0.listeners.count } }

    /// Listens from now on.
    ///
    /// - Throws: ``Problem`` when there are too many listeners, or the intake shuts down; `PostgresError`.
    func subscribe(key: String?, job: JobID?) async throws -> EventSubscription {
        let known = state.withLock { $0.position }
        var last = known ?? 0
        if known == nil { last = try await reader.last() }
        let (messages, continuation) = AsyncStream.makeStream(
            of: Message.self,
            bufferingPolicy: .bufferingOldest(Self.bufferLimit)
        )
        let (id, position) = try state.withLock { state in
            guard !state.isClosed, state.listeners.count < Self.listenerLimit else {
                throw Problem(.serviceUnavailable, "there are too many listeners; try again later", retryAfter: 5)
            }
            let position = state.position ?? last
            state.position = position
            state.lastID += 1
            state.listeners[state.lastID] = Listener(key: key, job: job, messages: continuation)
            return (state.lastID, position)
        }
        return EventSubscription(messages: messages, position: position) { [self] in
            state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
    }

    /// Passes events on until its task is cancelled; ends every listener's stream then.
    func run() async {
        var order = EventOrder(after: -1)
        var isFailing = false
        var lastKeepAlive = ContinuousClock.now
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
    private let onEnd: @Sendable () -> Void

    init(
        messages: AsyncStream<EventTailer.Message>,
        position: Int64,
        onEnd: @escaping @Sendable () -> Void
    ) {
        self.messages = messages
        self.position = position
        self.onEnd = onEnd
    }

    deinit { onEnd() }
}
