import NIOCore
import NIOHTTP1

/// Keeps what HTTP/1.1 says of a message's head, before its version and the number of its fields are out of sight.
///
/// - Source: RFC 9112, sections 2.5, 3.2 and 9.3.
final class HeadRules: ChannelDuplexHandler, RemovableChannelHandler {
    /// A head that is not taken.
    struct Refusal: Sendable { let detail: String }

    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Whether the client knows no HTTP/1.1; there is no request after that one.
    private var isOld = false
    private var isRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        isOld = head.version.major < 1 || head.version.major == 1 && head.version.minor < 1
        let hosts = head.headers.reduce(0) { $0 + ($1.name.utf8.count == 4 && $1.name.lowercased() == "host" ? 1 : 0) }
        guard hosts == 1 || hosts == 0 && isOld else {
            isRefused = true
            let detail = hosts == 0 ? "the request names no Host" : "the request names more than one Host"
            return context.fireUserInboundEventTriggered(Refusal(detail: detail))
        }
        guard isOld else { return context.fireChannelRead(data) }
        // It expects the end of the connection after the answer, and nothing before that.
        head.headers.replaceOrAdd(name: "connection", value: "close")
        head.headers.remove(name: "expect")
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isOld, case .head(var head) = unwrapOutboundIn(data), !head.headers.contains(name: "content-length")
        else {
            return context.write(data, promise: promise)
        }
        // A body without a length is told apart by the connection's end, and not cut into chunks.
        head.version = .http1_0
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}
