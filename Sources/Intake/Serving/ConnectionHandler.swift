import HTTPTypes
import Holdfast
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Synchronization

/// The client did not send its request in time.
struct RequestTooSlow: Error {}

/// Keeps one connection within its limits and deadlines, and closes it in order when the process drains.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long a client has to take the last answer, before what it still sends resets the connection.
    private static let lingering: TimeAmount = .seconds(1)

    private let connection: OpenConnection
    private let isAdmitted: Bool
    private let table: ConnectionTable
    private let drain: DrainState
    private var state: ConnectionState
    private var timer: (at: NIODeadline, scheduled: Scheduled<Void>)?
    private var closesAfterAnswer = false
    private var isEnding = false

    init(
        _ connection: OpenConnection,
        isAdmitted: Bool,
        limits: ConnectionState.Limits,
        table: ConnectionTable,
        drain: DrainState
    ) {
        self.connection = connection
        self.isAdmitted = isAdmitted
        self.table = table
        self.drain = drain
        state = ConnectionState(limits: limits, now: .now())
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if isAdmitted { arm(context) } else { answer(.serviceUnavailable, "too many connections", context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        table.leave(connection)
        timer?.scheduled.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnding else { return }
        switch unwrapInboundIn(data) {
        case .head:
            state.headRead(now: .now())
            arm(context)
        case .body: break
        case .end:
            state.bodyRead(now: .now())
            arm(context)
        }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isEnding else { return }
        if let error = error as? HTTPParserError, !state.isServing {
            if case .headerOverflow = error {
                answer(.requestHeaderFieldsTooLarge, "the head of the request is too large", context)
            } else {
                answer(.badRequest, "this is not HTTP/1.1", context)
            }
        }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isEnding else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head):
            if head.status.kind != .informational {
                state.answerBegun()
                // The rest of a body that was refused unread is not worth reading off; it may be without end.
                let isRefused = head.status == .unauthorized || head.status == .forbidden
                closesAfterAnswer = drain.isDraining || isRefused && state.isReadingBody
                if closesAfterAnswer { head.headerFields[.connection] = "close" }
            }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            state.answerEnded(now: .now())
            context.write(data, promise: promise)
            if closesAfterAnswer { end(context) } else { arm(context) }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        state.writabilityChanged(to: context.channel.isWritable, now: .now())
        arm(context)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ConnectionTable.MakePlace:
            if state.isWaitingForClient { drop(context) }
        case ChannelEvent.inputClosed where isEnding:
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Sees to it that the deadline is noticed; a timer that is early finds that out by itself, and costs a request nothing.
    private func arm(_ context: ChannelHandlerContext) {
        connection.waitingSince.store(
            state.isWaitingForClient ? NIODeadline.now().uptimeNanoseconds : 0,
            ordering: .relaxed
        )
        guard !isEnding, let deadline = state.deadline else { return }
        if let timer {
            guard deadline < timer.at else { return }
            timer.scheduled.cancel()
        }
        let scheduled = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.look(context) }
        timer = (deadline, scheduled)
    }

    private func look(_ context: ChannelHandlerContext) {
        timer = nil
        switch isEnding ? .wait : state.expired(now: .now()) {
        case .wait: arm(context)
        case .close: drop(context)
        case .answerTooSlow:
            answer(.requestTimeout, "the body did not come in time", context)
            context.fireErrorCaught(RequestTooSlow())
        case .answerUnavailable:
            answer(.serviceUnavailable, "this took too long; whether it was done is not known", context)
            context.fireErrorCaught(RequestTooSlow())
        }
    }

    private func drop(_ context: ChannelHandlerContext) {
        // A body that ends here must not pass for a whole one.
        if state.isServing { context.fireErrorCaught(RequestTooSlow()) }
        context.close(promise: nil)
    }

    /// Answers in the service's place, and closes.
    private func answer(_ status: HTTPResponse.Status, _ detail: String, _ context: ChannelHandlerContext) {
        let text =
            #"{"detail":"\#(detail)","status":\#(status.code),"title":"\#(status.reasonPhrase)","type":"about:blank"}"#
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = "application/problem+json"
        head.headerFields[.contentLength] = "\(text.utf8.count)"
        head.headerFields[.connection] = "close"
        if status == .serviceUnavailable { head.headerFields[.retryAfter] = "1" }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(string: text))), promise: nil)
        context.write(wrapOutboundOut(.end(nil)), promise: nil)
        end(context)
    }

    /// Closes once all is written: for writing now, altogether when the client has, or after ``lingering``.
    private func end(_ context: ChannelHandlerContext) {
        isEnding = true
        timer?.scheduled.cancel()
        timer = nil
        context.flush()
        context.close(mode: .output, promise: nil)
        let scheduled = context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingering) {
            context.close(promise: nil)
        }
        timer = (.now() + Self.lingering, scheduled)
    }
}
