package import Logging
import Synchronization

/// Asks one node again and again to do what is needed of it, and knows whether it does.
///
/// A node that answers PING may refuse all else: a replica, a full one, one whose user lacks a right. So what it is asked is
/// what its users ask for, on a key of nobody's.
package final class NodeProbe: Sendable {
    /// What is logged of a node.
    package struct Messages: Sendable {
        let refuses: Logger.Message
        let obeys: Logger.Message
    }

    /// How the node did.
    package enum Answer: Sendable {
        case done
        case refused(NodeRefusal)
        /// There was none: the connection was lost, or is slow. That is for others to tell.
        case none
    }

    private struct State {
        var refusals = Refusals()
        /// Whether it has answered a probe on its present connection.
        var isKnown = false
        /// When it is asked next.
        var dueAt: ContinuousClock.Instant
        /// How many probes in a row it has refused.
        var refused = 0
    }

    /// How long an answer is waited for.
    package static let deadline: Duration = .seconds(2)
    /// The longest pause between two probes of a node that refuses.
    private static let longestPause = 8
    /// How often it is looked whether a probe is due; at random up to twice as often.
    private static let tick: Duration = .seconds(1)

    /// Between two probes of a node that is in order.
    private let interval: Duration
    private let state: Mutex<State>
    private let messages: Messages?
    private let clock: any MonotonicClock
    private let logger: Logger
    private let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameters:
    ///   - name: The node's.
    ///   - messages: What is logged as it begins to refuse, once a minute while it does, and when it does no more; `nil`
    ///     when somebody else says so.
    ///   - interval: Between two probes of a node that is in order.
    ///   - clock: Measures the minute.
    ///   - logger: Where that goes.
    package init(
        name: String,
        messages: Messages?,
        every interval: Duration = .seconds(5),
        clock: any MonotonicClock = ContinuousClock(),
        logger: Logger
    ) {
        self.messages = messages
        self.interval = interval
        self.clock = clock
        state = Mutex(State(dueAt: clock.now))
        var logger = logger
        logger[metadataKey: "node"] = "\(name)"
        self.logger = logger
    }

    /// Why the node refuses; `nil` when it does not.
    package var refusal: NodeRefusal? { state.withLock(\.refusals.current) }

    /// Whether the node refuses.
    var isRefusing: Bool { state.withLock { $0.refusals.current != nil } }

    /// Whether it has been asked on its present connection, and does what it is asked for.
    package var isInOrder: Bool { state.withLock { $0.isKnown && $0.refusals.current == nil } }

    /// Whether it has been asked on its present connection.
    package var isKnown: Bool { state.withLock(\.isKnown) }

    /// Takes in that the node has refused what it was asked for.
    package func refused(_ refusal: NodeRefusal) {
        let now = clock.now
        let isTold = state.withLock { state in
            if state.refusals.current == nil { state.dueAt = now.advanced(by: .seconds(1)) }
            state.isKnown = true
            return state.refusals.refused(refusal, at: now)
        }
        if isTold, let messages {
            logger.warning(messages.refuses, metadata: ["code": "\(refusal.code)", "error": "\(refusal)"])
        }
    }

    /// Takes in that it does not answer, or that there is no connection any more.
    package func lost() { state.withLock { $0.isKnown = false } }

    /// Has the node asked now.
    package func askSoon() {
        state.withLock { $0.dueAt = clock.now }
        wake.yield()
    }

    /// Asks again and again, until the task is cancelled: each interval, and after 1, 2, 4, 8, 8 … s while the node refuses.
    package func run(_ ask: @escaping @Sendable () async -> Answer) async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while !Task.isCancelled {
                    wake.yield()
                    try? await Task.sleep(for: Self.tick * Double.random(in: 0.5...1))  // Cancelled: the loop ends.
                }
            }
            for await _ in wakes where state.withLock({ $0.dueAt <= clock.now }) { take(await ask()) }
        }
    }

    private func take(_ answer: Answer) {
        let now = clock.now
        switch answer {
        case .done:
            let isNews = state.withLock { state in
                state.isKnown = true
                state.refused = 0
                state.dueAt = now.advanced(by: interval)
                return state.refusals.answered()
            }
            if isNews, let messages { logger.info(messages.obeys) }
        case .refused(let refusal):
            refused(refusal)
            state.withLock { state in
                state.dueAt = now.advanced(by: .seconds(min(1 << state.refused, Self.longestPause)))
                state.refused = min(state.refused + 1, 8)
            }
        case .none: lost()
        }
    }
}
