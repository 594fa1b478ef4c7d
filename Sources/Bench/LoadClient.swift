import NIOCore
import NIOPosix

/// Connections that send one request after another, as light as can be: the machine is the server's.
struct LoadClient: Sendable {
    /// Sends a request, and the next one when its answer is there, until the time is up.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private static let headEnd = Array("\r\n\r\n".utf8)
        /// The end of Content-Length, however it is written.
        private static let lengthField = Array("ength: ".utf8)

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
            guard let count = Self.answerLength(received) else { return }
            let isAccepted = received.getInteger(at: received.readerIndex + 9) == UInt8(ascii: "2")
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
        private static func answerLength(_ buffer: ByteBuffer) -> Int? {
            buffer.withUnsafeReadableBytes { bytes in
                guard let head = place(of: headEnd, in: bytes) else { return nil }
                var length = head + headEnd.count
                if let field = place(of: lengthField, in: UnsafeRawBufferPointer(rebasing: bytes[..<head])) {
                    let digits = bytes[(field + lengthField.count)...].prefix { (48...57).contains($0) }
                    length += digits.reduce(0) { $0 * 10 + Int($1 - 48) }
                }
                return bytes.count >= length ? length : nil
            }
        }

        /// The standard library's search took a third of the machine that is to be measured.
        private static func place(of text: [UInt8], in bytes: UnsafeRawBufferPointer) -> Int? {
            guard bytes.count >= text.count else { return nil }
            return (0...bytes.count - text.count).first { start in
                text.indices.allSatisfy { bytes[start + $0] == text[$0] }
            }
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
