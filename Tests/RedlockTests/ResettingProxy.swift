import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Stands before a server, and passes everything on until it is told to break off.
final class ResettingProxy: Sendable {
    private let channel: any Channel
    private let breaksOff: Breaker

    /// Starts to listen.
    ///
    /// - Parameter port: Where the server listens, on this machine.
    /// - Throws: When no port can be listened on.
    init(to port: Int) async throws {
        let breaksOff = Breaker()
        self.breaksOff = breaksOff
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: port).flatMapThrowing {
                    server in
                    try client.pipeline.syncOperations.addHandler(Relay(to: server))
                    try server.pipeline.syncOperations.addHandler(Relay(to: client, breaksOff: breaksOff))
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { channel.close(promise: nil) }

    var url: String { "redis://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    /// Sends only the first byte of what the server says next, and a reset then.
    func resetInNextReply() { breaksOff.isArmed.withLock { $0 = true } }

    private final class Breaker: Sendable {
        let isArmed = Mutex(false)
    }

    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let peer: any Channel
        private let breaksOff: Breaker?

        init(to peer: any Channel, breaksOff: Breaker? = nil) {
            self.peer = peer
            self.breaksOff = breaksOff
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            let isArmed = breaksOff?.isArmed.withLock { armed in
                defer { armed = false }
                return armed
            }
            guard isArmed == true, let start = bytes.readSlice(length: 1) else {
                peer.writeAndFlush(bytes, promise: nil)
                return
            }
            let peer = peer
            peer.writeAndFlush(start).whenComplete { _ in
                let socket = peer as? any SocketOptionProvider
                socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in peer.close(promise: nil) }
            }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
