import Synchronization

/// What the keeper of a hold waits on: a time, the end of the guarded work, and whoever interrupts that.
package final class Watch: Sendable {
    private enum State {
        case awake
        case asleep(CheckedContinuation<Void, Never>, until: ContinuousClock.Instant)
        /// Nothing is waited for any more; why, if somebody has interrupted the work.
        case over((any Error)?)
    }

    private let state = Mutex(State.awake)
    private let limitEnd = Mutex<ContinuousClock.Instant?>(nil)

    package init() {}

    /// Ends the guarded work with an error, unless it has ended.
    package func interrupt(_ error: any Error) { end(error) }

    /// When the guarded work reaches its limit; `nil` when it has none.
    var limit: ContinuousClock.Instant? { limitEnd.withLock { $0 } }

    /// Sets when the guarded work reaches its limit: at its start, and again when it goes on to something else.
    package func setLimit(_ end: ContinuousClock.Instant?) {
        // Before the look at the sleeper: one who falls asleep looks at the limit under the same lock.
        limitEnd.withLock { $0 = end }
        guard let end else { return }
        // A sleeper who would wake up in time is left alone, which is most of them.
        let sleeper: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard case .asleep(let continuation, let deadline) = state, end < deadline else { return nil }
            state = .awake
            return continuation
        }
        sleeper?.resume()
    }

    /// Says that the guarded work has ended.
    func end() { end(nil) }

    /// Whether the guarded work has ended, or is to end.
    package var isOver: Bool { state.withLock { if case .over = $0 { true } else { false } } }

    var isAsleep: Bool { state.withLock { if case .asleep = $0 { true } else { false } } }

    /// Why the work was interrupted; `nil` when it was not.
    var interruption: (any Error)? { state.withLock { if case .over(let error) = $0 { error } else { nil } } }

    /// - Returns: Whether it sleeps now; it does not when nothing is waited for any more, or when it would sleep past the
    ///   limit.
    func fallAsleep(_ continuation: CheckedContinuation<Void, Never>, until deadline: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            if case .over = state { return false }
            if let limit, limit < deadline { return false }
            state = .asleep(continuation, until: deadline)
            return true
        }
    }

    /// Wakes the sleeper, if it sleeps.
    func wake() { replace(by: .awake)?.resume() }

    private func end(_ error: (any Error)?) { replace(by: .over(error))?.resume() }

    /// - Returns: Who slept.
    private func replace(by next: State) -> CheckedContinuation<Void, Never>? {
        state.withLock { state in
            if case .over = state { return nil }
            defer { state = next }
            if case .asleep(let continuation, _) = state { return continuation }
            return nil
        }
    }
}
