import DequeModule
import Synchronization

/// How many bytes of values are on their way to a node, and who waits until there is room for more.
///
/// A worker may have more in its memory than a connection takes: what would be too much waits here, first come, first served.
final class InFlightBytes: Sendable {
    private struct Waiting {
        let number: Int
        let bytes: Int
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var used = 0
        var waiting: Deque<Waiting> = []
        var numbers = 0
        var cancelled: Set<Int> = []

        func hasRoom(for bytes: Int, upTo limit: Int) -> Bool { used == 0 || used + bytes <= limit }
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: The most bytes, unless a single value has more.
    init(limit: Int) { self.limit = limit }

    /// How many bytes are on their way.
    var used: Int { state.withLock(\.used) }

    /// Takes room if there is some, and nobody waits.
    func take(_ bytes: Int) -> Bool {
        state.withLock { state in
            guard state.waiting.isEmpty, state.hasRoom(for: bytes, upTo: limit) else { return false }
            state.used += bytes
            return true
        }
    }

    /// Waits for room.
    ///
    /// - Throws: `CancellationError` when the task was cancelled before there was any; nothing is taken then.
    func wait(for bytes: Int) async throws(CancellationError) {
        let number = state.withLock { state in
            state.numbers += 1
            return state.numbers
        }
        let isTaken = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    if state.cancelled.remove(number) != nil { return false }
                    guard !state.waiting.isEmpty || !state.hasRoom(for: bytes, upTo: limit) else {
                        state.used += bytes
                        return true
                    }
                    state.waiting.append(Waiting(number: number, bytes: bytes, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiting = state.withLock { state -> Waiting? in
                guard let index = state.waiting.firstIndex(where: { $0.number == number }) else {
                    // It may be about to wait.
                    state.cancelled.insert(number)
                    return nil
                }
                return state.waiting.remove(at: index)
            }
            waiting?.continuation.resume(returning: false)
        }
        _ = state.withLock { $0.cancelled.remove(number) }
        guard isTaken else { throw CancellationError() }
    }

    /// Gives room back, and lets those in who have waited longest.
    func leave(_ bytes: Int) {
        let next = state.withLock { state in
            state.used -= bytes
            var next: [Waiting] = []
            while let first = state.waiting.first, state.hasRoom(for: first.bytes, upTo: limit) {
                state.used += first.bytes
                next.append(state.waiting.removeFirst())
            }
            return next
        }
        for waiting in next { waiting.continuation.resume(returning: true) }
    }
}
