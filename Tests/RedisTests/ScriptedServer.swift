import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A server that the test plays byte by byte: it sees what comes, and sends what the test says.
final class ScriptedServer: Sendable {
    /// One accepted connection.
    struct Client: Sendable {
        fileprivate let channel: any Channel
        /// Each RESP command as it comes, its arguments joined by spaces; ends when the other side closes.
        let commands: AsyncStream<String>

        /// Sends these bytes.
        func send(_ text: String) async throws {
            try await channel.writeAndFlush(ByteBuffer(string: text))
        }

        /// Closes the connection, with a reset that discards what is under way.
        func reset() async throws {
            let socket = channel as? any SocketOptionProvider
            try await socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
            try await channel.close()
        }

        /// Waits for the next command.
        func next() async -> String? {
            for await command in commands { return command }
            return nil
        }

        /// Answers the commands that a connection begins with, as a server of version 7 does.
        func greet(runID: String = "run-1") async throws {
            while let command = await next() {
                switch command {
                case "HELLO 3": try await send("%1\r\n+server\r\n+redis\r\n")
                case "INFO": try await send(Self.info(runID))
                case "CONFIG GET *append*": return try await send("-NOPERM no\r\n")
                default: try await send("+OK\r\n")
                }
            }
        }

        static func info(_ runID: String) -> String {
            let text = "# Server\r\nredis_version:7.0.15\r\nrun_id:\(runID)\r\nuptime_in_seconds:3\r\n"
            return "=\(text.utf8.count + 4)\r\ntxt:\(text)\r\n"
        }
    }

    private let channel: any Channel
    /// The connections in the order they were accepted in.
    let clients: AsyncStream<Client>

    init() async throws {
        let (clients, accepted) = AsyncStream.makeStream(of: Client.self, bufferingPolicy: .unbounded)
        self.clients = clients
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (commands, came) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
                    try channel.pipeline.syncOperations.addHandler(Commands(came))
                    accepted.yield(Client(channel: channel, commands: commands))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { channel.close(promise: nil) }

    var url: String { "redis://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    /// Waits for the next connection.
    func accept() async throws -> Client {
        for await client in clients { return client }
        throw CancellationError()
    }

    /// Splits what comes into commands.
    ///
    /// It trusts the client under test to send RESP arrays of texts without line ends.
    private final class Commands: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let came: AsyncStream<String>.Continuation
        private var lines = ""
        private var words: [String] = []
        private var missing = 0

        init(_ came: AsyncStream<String>.Continuation) { self.came = came }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            lines += String(buffer: unwrapInboundIn(data))
            while let end = lines.firstIndex(of: "\r\n") {
                let line = lines[..<end]
                if missing == 0 {
                    missing = Int(line.dropFirst()) ?? 1
                } else if line.first != "$" {
                    words.append(String(line))
                    if words.count == missing {
                        came.yield(words.joined(separator: " "))
                        (words, missing) = ([], 0)
                    }
                }
                lines.removeSubrange(...end)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { came.finish() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
