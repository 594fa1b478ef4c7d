import NIOCore
import NIOPosix

/// Connections that send one request after another, as light as can be: the machine is the server's.
struct LoadClient: Sendable {
    /// Sends a request, and the next one when its answer is there, until the time is up.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private static let headEnd = Array("\r\n\r\n".utf8)
        private static let length = Array("content-length: ".utf8)

        private let makeRequest: (Int) -> String
        private let deadline: NIODeadline
        private let done: EventLoopPromise<[Int64]>
        private var received = ByteBuffer()
        private var sentAt = NIODeadline.now()
        private var number = 0
        private var latencies: [Int64] = []

        init(deadline: NIODeadline, done: EventLoopPromise<[Int64]>, makeRequest: @escaping (Int) -> String) {
            self.deadline = deadline
            self.done = done
            self.makeRequest = makeRequest
        }

        func channelActive(context: ChannelHandlerContext) { send(context) }

        private func send(_ context: ChannelHandlerContext) {
            sentAt = .now()
            number += 1
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: makeRequest(number))), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.writeImmutableBuffer(unwrapInboundIn(data))
            guard let count = Self.answerLength(received.readableBytesView) else { return }
            let isAccepted = received.readableBytesView.dropFirst(9).first == UInt8(ascii: "2")
            received.moveReaderIndex(forwardBy: count)
            received.discardReadBytes()
            guard isAccepted else {
                done.fail(BenchError(description: "the intake refused a job"))
                return context.close(promise: nil)
            }
            latencies.append((.now() - sentAt).nanoseconds)
            if NIODeadline.now() < deadline { send(context) } else { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) { done.succeed(latencies) }

        /// How long an answer is; `nil` while it is not there as a whole.
        private static func answerLength(_ bytes: ByteBufferView) -> Int? {
            guard let head = bytes.firstRange(of: headEnd) else { return nil }
            let fields = bytes[..<head.upperBound]
            let lowered = fields.map { $0 >= 65 && $0 <= 90 ? $0 | 32 : $0 }
            var body = 0
            if let field = lowered.firstRange(of: length) {
                for digit in lowered[field.upperBound...] {
                    guard (48...57).contains(digit) else { break }
                    body = body * 10 + Int(digit - 48)
                }
            }
            let total = fields.count + body
            return bytes.count >= total ? total : nil
        }
    }

    let port: Int
    let connections: Int
    let duration: Duration

    /// - Returns: How long each answer took, in ms.
    /// - Throws: ``BenchError`` when a job is refused, or what broke the connection.
    func run() async throws -> [Double] {
        // One thread: the machine is the server's.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let deadline = NIODeadline.now() + TimeAmount(duration)
        var results: [EventLoopFuture<[Int64]>] = []
        for connection in 0..<connections {
            let done = group.next().makePromise(of: [Int64].self)
            _ = try await ClientBootstrap(group: group)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = Handler(deadline: deadline, done: done) { number in
                            let body = #"{"key":"key-\#(connection)-\#(number)","value":"value","durationMs":0}"#
                            return "POST /v1/jobs HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
                        }
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
            results.append(done.futureResult)
        }
        let latencies = try await EventLoopFuture.whenAllSucceed(results, on: group.next()).get()
        try await group.shutdownGracefully()
        return latencies.joined().map { Double($0) / 1e6 }
    }
}

/// Why a measurement is none.
struct BenchError: Error, CustomStringConvertible { let description: String }
