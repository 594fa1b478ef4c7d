import CLibPQ
import Dispatch
import Synchronization

/// Cancels what one connection is running, from any thread, and knows when a cancel is still on its way.
///
/// `PQcancel` opens a connection of its own and blocks, so it runs on a queue of its own.
final class Canceller: Sendable {
    enum Reason {
        case task
        case deadline
    }

    struct Request {
        let reason: Reason
        let madeAt: ContinuousClock.Instant
    }

    private struct State {
        var step: UInt64 = 0
        var isRunning = false
        var request: Request?
    }

    /// Unchecked: `PQcancel` may be called on it from any thread, and nothing else is.
    private final class Key: @unchecked Sendable {
        let pointer: OpaquePointer?
        init(_ connection: OpaquePointer) { pointer = PQgetCancel(connection) }
        deinit { PQfreeCancel(pointer) }
    }

    // A frozen server holds a thread for each cancel that it does not take, until it goes on or its host gives up: so
    // there are never more than these, in the whole process. A connection whose cancel is not sent is given up.
    private static let limit = 16
    private static let underWay = Atomic<Int>(0)

    private let key: Key
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "postgres.cancel")
    private let sending = DispatchGroup()

    init(_ handle: ConnectionHandle) {
        key = Key(handle.pointer)
    }

    /// Says that a step begins, which may be cancelled by the number returned until ``end(_:waiting:)``.
    func begin() -> UInt64 {
        state.withLock {
            $0.step += 1
            $0.isRunning = true
            $0.request = nil
            return $0.step
        }
    }

    /// Cancels a step if it still runs, once.
    func cancel(_ step: UInt64, for reason: Reason) {
        let isNew = state.withLock {
            guard $0.isRunning, $0.step == step, $0.request == nil else { return false }
            $0.request = Request(reason: reason, madeAt: .now)
            // Entered under the lock: the step's end must not miss it.
            sending.enter()
            return true
        }
        if isNew { send() }
    }

    /// The request to cancel the step that runs or ran last.
    var request: Request? { state.withLock(\.request) }

    /// Says that the step is over.
    ///
    /// - Returns: Whether no cancel is under way any more, so that none can hit the next statement.
    func end(_ step: UInt64, waiting: Duration) -> Bool {
        state.withLock { $0.isRunning = false }
        return sending.wait(timeout: .now() + .milliseconds(Int(waiting.milliseconds))) == .success
    }

    private func send() {
        let key = key
        let sending = sending
        guard Self.underWay.add(1, ordering: .relaxed).newValue <= Self.limit else {
            Self.underWay.subtract(1, ordering: .relaxed)
            return sending.leave()
        }
        queue.async {
            var message = [CChar](repeating: 0, count: 256)
            // A failure shows itself: the statement goes on, and its connection is given up after the grace.
            PQcancel(key.pointer, &message, Int32(message.count))
            Self.underWay.subtract(1, ordering: .relaxed)
            sending.leave()
        }
    }
}
