package import NIOCore
import NIOPosix

/// Stands before a server of this machine, and does with what is said what a test wants.
package final class TestProxy: Sendable {
    /// Something that was said, and the connections that it came from and is for; both are of one event loop.
    package struct Piece: Sendable {
        package let bytes: ByteBuffer
        package let isRequest: Bool
        package let from: any Channel
        package let to: any Channel

        /// Passes it on.
        package func pass() { to.writeAndFlush(bytes, promise: nil) }
    }

    private let channel: any Channel

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - port: Where the server listens.
    ///   - onPiece: Passes a piece on, or does not.
    /// - Throws: When no port can be listened on.
    package convenience init(to port: Int, onPiece: @escaping @Sendable (Piece) -> Void) async throws {
        try await self.init(to: SocketAddress(ipAddress: "127.0.0.1", port: port), onPiece: onPiece)
    }

    /// - Parameters:
    ///   - server: Where the server listens: a port, or a Unix socket.
    ///   - onPiece: Passes a piece on, or does not.
    /// - Throws: When no port can be listened on.
    package init(to server: SocketAddress, onPiece: @escaping @Sendable (Piece) -> Void) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop).connect(to: server).flatMapThrowing { server in
                    try client.pipeline.syncOperations.addHandler(Relay(to: server, isRequest: true, onPiece))
                    try server.pipeline.syncOperations.addHandler(Relay(to: client, isRequest: false, onPiece))
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { channel.close(promise: nil) }

    /// Where it listens, on 127.0.0.1.
    package var port: Int { channel.localAddress?.port ?? 0 }

    /// As a Redis node's clients have it.
    package var url: String { "redis://127.0.0.1:\(port)" }

    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let peer: any Channel
        private let isRequest: Bool
        private let onPiece: @Sendable (Piece) -> Void

        init(to peer: any Channel, isRequest: Bool, _ onPiece: @escaping @Sendable (Piece) -> Void) {
            self.peer = peer
            self.isRequest = isRequest
            self.onPiece = onPiece
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            onPiece(Piece(bytes: unwrapInboundIn(data), isRequest: isRequest, from: context.channel, to: peer))
        }

        func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
