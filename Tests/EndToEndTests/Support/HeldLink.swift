import NIOCore
import Synchronization
import TestSupport

/// Stands before a Redis node, and keeps what its clients say while it is held.
final class HeldLink: Sendable {
    private struct State {
        var isHeld = false
        /// What a client says from which on nothing is passed on.
        var trigger: String?
        /// What waits to be passed on.
        var waiting: [TestProxy.Piece] = []
        var replies = 0
    }

    /// Shared with the connections.
    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let proxy: TestProxy
    private let shared = Shared()

    /// Starts to listen.
    ///
    /// - Parameter port: Where the node listens, on this machine.
    /// - Throws: When no port can be listened on.
    init(to port: Int) async throws {
        proxy = try await TestProxy(to: port) { [shared] piece in
            let isKept = shared.state.withLock { state in
                if !piece.isRequest { state.replies += 1 }
                guard piece.isRequest else { return false }
                if let trigger = state.trigger, String(buffer: piece.bytes).contains(trigger) {
                    (state.isHeld, state.trigger, state.replies) = (true, nil, 0)
                }
                guard state.isHeld else { return false }
                state.waiting.append(piece)
                return true
            }
            if !isKept { piece.pass() }
        }
    }

    var url: String { proxy.url }

    /// What it keeps, as text.
    var held: String { shared.state.withLock { $0.waiting.map { String(buffer: $0.bytes) }.joined() } }

    /// How often the node has answered since it was held.
    var replies: Int { shared.state.withLock { $0.replies } }

    /// Passes nothing on to the node any more from what contains a text on; what else the node is asked before is answered.
    func hold(from text: String) { shared.state.withLock { $0.trigger = text } }

    /// Passes on what it has kept, and all that comes.
    func pass() {
        let waiting = shared.state.withLock { state in
            defer { (state.isHeld, state.waiting) = (false, []) }
            return state.waiting
        }
        for piece in waiting { piece.pass() }
    }
}
