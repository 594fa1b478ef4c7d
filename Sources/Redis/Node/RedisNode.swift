package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// One Redis node, reached over one pipelined connection that is made again whenever it is lost.
///
/// It is inert until ``run()`` is called. Commands of any number of tasks share the connection and, when they come
/// together, one write; each has a deadline of its own. Nothing is ever sent twice.
package final class RedisNode: Sendable {
    /// The node's place and credentials.
    package let endpoint: RedisEndpoint

    let configuration: RedisNodeConfiguration
    let logger: Logger
    let name: String
    /// One for all nodes: what is asked of several goes out, and comes in, with fewer switches of threads.
    package static let sharedLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let eventLoop: any EventLoop
    let exchange: Mutex<Exchange>

    /// Makes a node that is not connected yet.
    ///
    /// - Parameters:
    ///   - endpoint: Where it is.
    ///   - configuration: Limits, and who is told of changes.
    ///   - logger: Gets one line when the node is lost and one when it is back.
    package init(
        _ endpoint: RedisEndpoint,
        configuration: RedisNodeConfiguration = RedisNodeConfiguration(),
        logger: Logger
    ) {
        self.endpoint = endpoint
        self.configuration = configuration
        name = endpoint.description
        var logger = logger
        logger[metadataKey: "node"] = "\(name)"
        self.logger = logger
        eventLoop = Self.sharedLoop
        exchange = Mutex(Exchange(configuration: configuration))
    }

    /// Whether commands are sent at once.
    package var isConnected: Bool {
        exchange.withLock { if case .serving = $0.phase { true } else { false } }
    }

    /// Why there is no connection; `nil` with one, and before the first attempt at one has ended.
    package var trouble: String? {
        exchange.withLock { if case .down(let error) = $0.phase { error.message } else { nil } }
    }

    /// What the node said of itself when the present connection was made; `nil` without one, or when an ACL forbids it.
    package var serverInfo: RedisServerInfo? {
        exchange.withLock { if case .serving(_, let info) = $0.phase { info } else { nil } }
    }

    /// Connects, and connects again whenever the connection is lost, until its task is cancelled.
    ///
    /// Then the connection is closed, and what waits fails. One call at a time.
    package func run() async {
        exchange.withLock { $0.open() }
        var backoff = Backoff(base: configuration.reconnectPause, cap: configuration.maximumReconnectPause)
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            let start = ContinuousClock.now
            await serveConnection()
            // A connection that is lost as soon as it is made has not ended the trouble.
            if start.duration(to: .now) > configuration.maximumReconnectPause { backoff.reset() }
            // Cancellation ends the sleep, and then the loop.
            try? await Task.sleep(for: backoff.next(using: &random))
        }
        connectionEnded(failure(.cancelled, "it was shut down"))
    }

    func failure(_ code: RedisError.Code, _ message: String) -> RedisError {
        RedisError(code, endpoint: name, message: message)
    }
}

// MARK: The connection's events, on the event loop
extension RedisNode {
    /// Serves one connection until it ends.
    private func serveConnection() async {
        let tls: Connection.TLS?
        do {
            // Read anew each time, so that renewed certificates are found. It reads files: not on the event loop.
            tls = try Connection.TLS(endpoint)
        } catch {
            return connectionEnded(failure(.notConnected, failureReason(error)))
        }
        let connection = NIOLoopBoundBox.makeBoxSendingValue(Connection(self, tls: tls), eventLoop: eventLoop)
        await withTaskCancellationHandler {
            await withCheckedContinuation { ended in
                eventLoop.execute { connection.value.open { ended.resume() } }
            }
        } onCancel: {
            eventLoop.execute { connection.value.stop() }
        }
    }

    func connected(_ channel: any Channel, _ info: RedisServerInfo?) {
        logger.info("Redis node connected")
        // Before the first command, so that who is told can shut a restarted node out before it votes.
        configuration.onStateChange(.connected(info))
        exchange.withLock { $0.connected(channel, info) }
        flush()
        configuration.onReady()
    }

    /// Hands replies to their callers; false when one answers nothing.
    func received(_ replies: [RedisReply]) -> Bool {
        var resumptions: [(Call, Call.Answer)] = []
        resumptions.reserveCapacity(replies.count)
        let isMatched = exchange.withLock { $0.received(replies, &resumptions) }
        for (call, answer) in resumptions { call.resume(.success(answer)) }
        return isMatched
    }

    func connectionEnded(_ error: RedisError) {
        let end = exchange.withLock { $0.ended(error) }
        if end.isNews, error.code != .cancelled {
            // Being refused does not pass by itself, as being out of reach does.
            if error.code == .authenticationFailed {
                logger.error("Redis node refuses the credentials", metadata: ["error": "\(error)"])
            } else {
                logger.warning("Redis node lost", metadata: ["error": "\(error)"])
            }
            configuration.onStateChange(.lost(error))
        }
        guard !end.failed.isEmpty else { return }
        let failure = failure(end.code, error.message)
        for call in end.failed { call.resume(.failure(failure)) }
    }

    /// Writes what has gathered, in one go.
    func flush() {
        let empty = ByteBufferAllocator().buffer(capacity: 4096)
        guard let (channel, bytes) = exchange.withLock({ $0.takeOutbox(replacedBy: empty) }) else { return }
        channel.writeAndFlush(bytes, promise: nil)
    }
}
