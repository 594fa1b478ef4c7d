import NIOCore
import NIOPosix
import Synchronization

/// The way between two parts of the system: a proxy that can be cut, held, slowed, or made to lose connections.
final class Link: Sendable {
    enum State: Sendable, Equatable {
        case whole
        /// Connections are broken off, and new ones too.
        case cut
        /// Nothing passes, and nobody is told.
        case held
        /// Everything takes so much longer.
        case slow(Duration)
        /// One packet in so many breaks its connection off.
        case lossy(Int)
    }

    let name: String
    private let channel: any Channel
    private let shared = Shared()

    private final class Shared: Sendable {
        let state = Mutex(State.whole)
        let open = Mutex<[ObjectIdentifier: any Channel]>([:])
    }

    /// Starts to listen on a free port of loopback.
    ///
    /// - Parameters:
    ///   - name: Between whom it is.
    ///   - connect: Opens the way on to the other side.
    /// - Throws: When no port can be listened on.
    init(
        _ name: String,
        _ connect: @escaping @Sendable (ClientBootstrap) -> EventLoopFuture<any Channel>
    ) async throws {
        self.name = name
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { [shared] client in
                guard shared.state.withLock({ $0 }) != .cut else { return client.close() }
                return connect(ClientBootstrap(group: client.eventLoop)).flatMapThrowing { server in
                    try client.pipeline.syncOperations.addHandler(Relay(to: server, shared))
                    try server.pipeline.syncOperations.addHandler(Relay(to: client, shared))
                    shared.open.withLock { $0[ObjectIdentifier(client)] = client }
                    client.closeFuture.whenComplete { _ in
                        shared.open.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(client)) }
                    }
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// What it leads to, as in `PostgreSQL` or `lock node 2`.
    var target: String { String(name.split(separator: " ").dropFirst(2).joined(separator: " ")) }

    var port: Int { channel.localAddress?.port ?? 0 }

    func set(_ state: State) {
        shared.state.withLock { $0 = state }
        guard state == .cut else { return }
        for channel in shared.open.withLock({ Array($0.values) }) { channel.close(promise: nil) }
    }

    func close() { channel.close(promise: nil) }

    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let peer: any Channel
        private let shared: Shared
        private var waiting = CircularBuffer<(bytes: ByteBuffer, due: NIODeadline)>()
        private var isScheduled = false
        private var count = 0

        init(to peer: any Channel, _ shared: Shared) {
            self.peer = peer
            self.shared = shared
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            count += 1
            var due = NIODeadline.now()
            switch shared.state.withLock({ $0 }) {
            case .slow(let delay):
                due = due + .nanoseconds(delay / .nanoseconds(1) > 0 ? Int64(delay / .nanoseconds(1)) : 0)
            case .lossy(let most) where count % most == 0: return context.close(promise: nil)
            default: break
            }
            waiting.append((unwrapInboundIn(data), due))
            drain(context)
        }

        /// Passes on what is due, in order.
        private func drain(_ context: ChannelHandlerContext) {
            while let first = waiting.first, first.due <= .now(), shared.state.withLock({ $0 }) != .held {
                waiting.removeFirst()
                peer.writeAndFlush(first.bytes, promise: nil)
            }
            guard !waiting.isEmpty, !isScheduled else { return }
            isScheduled = true
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
                self.isScheduled = false
                self.drain(context)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
