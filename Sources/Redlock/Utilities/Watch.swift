import Synchronization

/// What the keeper of a hold waits on: a time, the end of the guarded work, and whoever interrupts that.
package final class Watch: Sendable {
    private enum State {
        case awake
        case asleep(CheckedContinuation<Void, Never>)
        /// Nothing is waited for any more; why, if somebody has interrupted the work.
        case over((any Error)?)
    }

    private let state = Mutex(State.awake)

    package init() {}

    /// Ends the guarded work with an error, unless it has ended.
    package func interrupt(_ error: any Error) { end(error) }

    /// Says that the guarded work has ended.
    func end() { end(nil) }

    var isOver: Bool { state.withLock { if case .over = $0 { true } else { false } } }

    var isAsleep: Bool { state.withLock { if case .asleep = $0 { true } else { false } } }

    /// Why the work was interrupted; `nil` when it was not.
    var interruption: (any Error)? { state.withLock { if case .over(let error) = $0 { error } else { nil } } }

    /// - Returns: Whether it sleeps now; it does not when nothing is waited for any more.
    func fallAsleep(_ continuation: CheckedContinuation<Void, Never>) -> Bool {
        state.withLock { state in
            if case .over = state { return false }
            state = .asleep(continuation)
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
            if case .asleep(let continuation) = state { return continuation }
            return nil
        }
    }
}
