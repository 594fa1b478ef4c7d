import NIOCore
import NIOPosix

/// Connections that send one request after another, as light as can be: the machine is the server's.
struct LoadClient: Sendable {
    /// What all connections were answered.
    private final class Tally {
        var latencies = Latencies()
        /// Of the first answer that was no success.
        var refusal: String?
    }

    /// Sends a request, and the next one when its answer is there, until the time is up.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private static let headEnd = Array("\r\n\r\n".utf8)
        /// The end of Content-Length, however it is written.
        private static let lengthField = Array("ength: ".utf8)

        private let makeRequest: (Int) -> ByteBuffer
        private let deadline: NIODeadline
        private let done: EventLoopPromise<Void>
        private let tally: Tally
        private var received = ByteBuffer()
        private var sentAt = NIODeadline.now()
        private var number = 0

        init(
            deadline: NIODeadline,
            done: EventLoopPromise<Void>,
            tally: Tally,
            makeRequest: @escaping (Int) -> ByteBuffer
        ) {
            self.deadline = deadline
            self.done = done
            self.tally = tally
            self.makeRequest = makeRequest
        }

        func channelActive(context: ChannelHandlerContext) { send(context) }

        private func send(_ context: ChannelHandlerContext) {
            number += 1
            let request = makeRequest(number)
            sentAt = .now()
            context.writeAndFlush(wrapOutboundOut(request), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.writeImmutableBuffer(unwrapInboundIn(data))
            guard let count = Self.answerLength(received) else { return }
            guard received.getInteger(at: received.readerIndex + 9) == UInt8(ascii: "2") else {
                tally.refusal = tally.refusal ?? String(buffer: received)
                return context.close(promise: nil)
            }
            received.moveReaderIndex(forwardBy: count)
            received.discardReadBytes()
            tally.latencies.record(microseconds: (.now() - sentAt).nanoseconds / 1000)
            if NIODeadline.now() < deadline { send(context) } else { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) { done.succeed() }

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
    /// The path that is posted to.
    let path: String
    let contentType: String
    /// The body of a request, by the numbers of its connection and of the request on it.
    let body: @Sendable (_ connection: Int, _ number: Int) -> String

    /// What was answered.
    struct Answers: Sendable {
        let latencies: Latencies
        /// From before the first request until after the last answer.
        let time: Duration

        var perSecond: Double { Double(latencies.count) / time.seconds }
    }

    /// - Throws: ``BenchError`` when a request is refused, or what kept a connection from being made.
    func run() async throws -> Answers {
        let start = ContinuousClock.now
        // One thread: the machine is the server's.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let tally = NIOLoopBoundBox.makeBoxSendingValue(Tally(), eventLoop: loop)
        let deadline = NIODeadline.now() + TimeAmount(duration)
        var results: [EventLoopFuture<Void>] = []
        for connection in 0..<connections {
            let done = loop.makePromise(of: Void.self)
            _ = try await ClientBootstrap(group: group)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = Handler(deadline: deadline, done: done, tally: tally.value) { number in
                            request(body(connection, number))
                        }
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
            results.append(done.futureResult)
        }
        try await EventLoopFuture.andAllSucceed(results, on: loop).get()
        let time = start.duration(to: .now)
        let (latencies, refusal) = try await loop.submit { (tally.value.latencies, tally.value.refusal) }.get()
        try await group.shutdownGracefully()
        if let refusal { throw BenchError(description: "the intake refused a request: \(refusal)") }
        return Answers(latencies: latencies, time: time)
    }

    private func request(_ body: String) -> ByteBuffer {
        ByteBuffer(
            string: "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: \(contentType)\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
    }
}
