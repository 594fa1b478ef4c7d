import NIOCore
import NIOPosix
import Synchronization

/// Stands before a Redis node, and keeps what its clients say while it is held.
final class HeldLink: Sendable {
    private struct State {
        var isHeld = false
        /// What waits to be passed on.
        var waiting: [(bytes: ByteBuffer, peer: any Channel)] = []
        var replies = 0
    }

    /// Shared with the handlers of its connections.
    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let channel: any Channel
    private let shared: Shared

    /// Starts to listen.
    ///
    /// - Parameter port: Where the node listens, on this machine.
    /// - Throws: When no port can be listened on.
    init(to port: Int) async throws {
        let shared = Shared()
        self.shared = shared
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: port).flatMapThrowing {
                    server in
                    try client.pipeline.syncOperations.addHandler(Relay(to: server, shared, isRequest: true))
                    try server.pipeline.syncOperations.addHandler(Relay(to: client, shared, isRequest: false))
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { channel.close(promise: nil) }

    var url: String { "redis://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    /// What it keeps, as text.
    var held: String { shared.state.withLock { $0.waiting.map { String(buffer: $0.bytes) }.joined() } }

    /// How often the node has answered since it was held.
    var replies: Int { shared.state.withLock { $0.replies } }

    /// Passes nothing on to the node any more.
    func hold() { shared.state.withLock { ($0.isHeld, $0.replies) = (true, 0) } }

    /// Passes on what it has kept, and all that comes.
    func pass() {
        let waiting = shared.state.withLock { state in
            defer { (state.isHeld, state.waiting) = (false, []) }
            return state.waiting
        }
        for (bytes, peer) in waiting { peer.writeAndFlush(bytes, promise: nil) }
    }

    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let peer: any Channel
        private let shared: Shared
        private let isRequest: Bool

        init(to peer: any Channel, _ shared: Shared, isRequest: Bool) {
            self.peer = peer
            self.shared = shared
            self.isRequest = isRequest
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            let isKept = shared.state.withLock { state in
                if !isRequest { state.replies += 1 }
                guard isRequest, state.isHeld else { return false }
                state.waiting.append((bytes, peer))
                return true
            }
            if !isKept { peer.writeAndFlush(bytes, promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
