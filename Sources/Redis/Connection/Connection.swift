import NIOCore
import NIOPosix
import Synchronization

/// One connection to a node, from the look-up of its name until it is closed.
///
/// It lives on the node's event loop.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        case connecting
        case greeting
        case serving
        case ended
    }

    private let node: RedisNode
    private let tls: TLS?
    private var stage = Stage.connecting
    private var channel: (any Channel)?
    private var parser: ReplyParser
    private var handshake: Handshake
    private var lastReceived = NIODeadline.now()
    private var timer: Scheduled<Void>?
    private var whenEnded: (() -> Void)?

    init(_ node: RedisNode, tls: TLS?) {
        self.node = node
        self.tls = tls
        parser = ReplyParser(limits: node.configuration.replyLimits)
        handshake = Handshake(
            endpoint: node.endpoint,
            clientName: node.configuration.clientName,
            scripts: node.configuration.scripts,
            identityKey: node.configuration.identityKey
        )
    }

    /// Begins; `whenEnded` is called once, when all is over.
    func open(whenEnded: @escaping () -> Void) {
        guard stage == .connecting else { return whenEnded() }
        self.whenEnded = whenEnded
        let limit = TimeAmount(clamping: node.configuration.connectTimeout)
        timer = node.eventLoop.assumeIsolated().scheduleTask(in: limit) {
            self.fail(.notConnected, "not ready within \(self.node.configuration.connectTimeout.milliseconds)")
        }
        let bootstrap = ClientBootstrap(group: node.eventLoop)
            .connectTimeout(limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
        let connecting =
            switch node.endpoint.address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unixSocket(let path): ClientBootstrap(group: node.eventLoop).connect(unixDomainSocketPath: path)
            }
        connecting.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.opened(channel)
            case .failure(let error): self.fail(.notConnected, failureReason(error))
            }
        }
    }

    /// Ends it, whatever it is doing.
    func stop() {
        fail(.cancelled, "it was shut down")
    }

    private func opened(_ channel: any Channel) {
        guard stage == .connecting else { return channel.close(promise: nil) }
        self.channel = channel
        do {
            // Here and not in an initialiser: of several addresses tried at once, only the winner gets this far.
            if let handler = try tls?.makeHandler() { try channel.pipeline.syncOperations.addHandler(handler) }
            try channel.pipeline.syncOperations.addHandler(self)
            stage = .greeting
            carryOut(handshake.start())
        } catch {
            fail(.notConnected, failureReason(error))
        }
    }

    private func carryOut(_ action: Handshake.Action) {
        switch action {
        case .send(let command):
            channel?.writeAndFlush(ByteBuffer(bytes: command.bytes), promise: nil)
        case .fail(let error):
            end(error)
        case .ready(let info):
            guard let channel else { return }
            stage = .serving
            watchSilence(after: node.configuration.silenceLimit)
            node.connected(channel, info)
        }
    }

    private func fail(_ code: RedisError.Code, _ message: String) {
        end(node.failure(code, message))
    }

    private func end(_ error: RedisError) {
        guard stage != .ended else { return }
        stage = .ended
        timer?.cancel()
        channel?.close(promise: nil)
        node.connectionEnded(error)
        whenEnded.take()?()
    }
}

// MARK: What comes in
extension Connection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard stage == .greeting || stage == .serving else { return }
        lastReceived = .now()
        unwrapInboundIn(data).withUnsafeReadableBytes { parser.append($0) }
        var replies: [RedisReply] = []
        do {
            while let reply = try parser.next() {
                if stage == .serving { replies.append(reply) } else { greeted(reply) }
            }
            deliver(replies)
        } catch {
            // What came before it is sound.
            deliver(replies)
            switch error {
            case .malformed(let what), .tooLong(let what): fail(.protocolViolation, what)
            }
        }
    }

    private func greeted(_ reply: RedisReply) {
        guard stage == .greeting else { return }
        if case .push = reply { return }
        carryOut(handshake.received(reply, at: .now))
    }

    private func deliver(_ replies: [RedisReply]) {
        guard !replies.isEmpty, !node.received(replies) else { return }
        fail(.protocolViolation, "a reply to no command")
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if stage == .serving { node.flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(stage == .serving ? .connectionLost : .notConnected, failureReason(error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(stage == .serving ? .connectionLost : .notConnected, "the node closed the connection")
    }

    /// Closes a connection on which nothing comes although replies are owed.
    private func watchSilence(after pause: Duration) {
        timer?.cancel()
        timer = node.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(clamping: pause)) { self.checkSilence() }
    }

    private func checkSilence() {
        let limit = node.configuration.silenceLimit
        guard let owedSince = node.exchange.withLock({ $0.isOwedSince }) else { return watchSilence(after: limit) }
        let silence = NIODeadline.now() - max(owedSince, lastReceived)
        let left = limit - .nanoseconds(silence.nanoseconds)
        guard left <= .zero else { return watchSilence(after: left) }
        fail(.connectionLost, "nothing came for \(limit.milliseconds) while replies were owed")
    }
}
