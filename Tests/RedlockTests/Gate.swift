import Synchronization

/// Holds back who comes until it is opened, or their task is cancelled.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    func wait() async {
        let (opened, opening) = AsyncStream.makeStream(of: Void.self)
        let isOpen = state.withLock { state in
            if !state.isOpen { state.waiting.append(opening) }
            return state.isOpen
        }
        guard !isOpen else { return }
        for await _ in opened {}
    }

    func open() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            state.isOpen = true
            return state.waiting
        }
        for opening in waiting { opening.finish() }
    }
}
