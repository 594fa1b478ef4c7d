import DequeModule
import HTTPTypes
import Holdfast
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Synchronization

/// The client did not send its request in time, or others needed what it held.
struct RequestTooSlow: Error {}

/// Keeps one connection within its limits and deadlines, and closes it in order: when the process drains, when its client
/// says so, and when what it has sent is not to be read to its end.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long a client has to take the last answer, before what it still sends resets the connection.
    private static let lingering: TimeAmount = .seconds(1)

    /// What a connection beyond the limit may ask for.
    private static let healthPaths: Set = ["/healthz", "/readyz", "/metrics"]

    private let connection: OpenConnection
    private let admission: ConnectionTable.Admission
    private let table: ConnectionTable
    private let drain: DrainState
    private var state: ConnectionState
    private var timer: (at: NIODeadline, scheduled: Scheduled<Void>)?
    /// What the requests hold that have not been answered, in their order.
    private var held: Deque<HeldBytes> = []
    /// How many answers are left until it closes; `nil` while it stays.
    private var answersLeft: Int?
    /// Whether the client waits to be asked for the body that it has announced.
    private var awaitsContinue = false
    private var isEnding = false

    init(
        _ connection: OpenConnection,
        _ admission: ConnectionTable.Admission,
        limits: ConnectionState.Limits,
        table: ConnectionTable,
        drain: DrainState
    ) {
        self.connection = connection
        self.admission = admission
        self.table = table
        self.drain = drain
        state = ConnectionState(limits: limits, isBrief: admission != .admitted, now: .now())
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        switch admission {
        case .admitted, .forHealth: arm(context)
        case .refused: answer(.serviceUnavailable, Self.noPlace, context)
        case .dropped: context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        table.leave(connection)
        connection.clientHasGone()
        held = []
        timer?.scheduled.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnding else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // After a request that is its connection's last there is no other, whatever has been sent.
            guard answersLeft == nil else { return }
            guard admission == .admitted || Self.healthPaths.contains(head.path ?? "") else {
                return answer(.serviceUnavailable, Self.noPlace, context)
            }
            state.headRead(now: .now())
            arm(context)
            let bytes = HeldBytes(connection, of: table)
            guard hold(HeldBytes.perRequest, bytes, context) else { return }
            held.append(bytes)
            connection.arrived(bytes)
            if closes(head) || admission != .admitted { answersLeft = held.count }
            awaitsContinue = head.headerFields[.expect].map { $0.lowercased() == "100-continue" } ?? false
        case .body(let buffer):
            guard state.isReadingBody else { return }
            awaitsContinue = false
            connection.waits(state.wait, now: .now())
            // The rest of what has been answered is read off, and held by nobody.
            if let bytes = held.last, !hold(buffer.readableBytes, bytes, context) { return }
        case .end:
            guard state.isReadingBody else { return }
            awaitsContinue = false
            state.bodyRead(now: .now())
            arm(context)
        }
        context.fireChannelRead(data)
    }

    private static let noPlace = "too many connections"

    /// Whether the client says that this request is the connection's last: one of the options, in whatever case.
    private func closes(_ head: HTTPRequest) -> Bool {
        guard let options = head.headerFields[.connection] else { return false }
        return options.split(separator: ",").contains { option in
            option.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }.lowercased() == "close"
        }
    }

    /// Counts what has come in.
    ///
    /// - Returns: Whether there was room; else the request has been ended.
    private func hold(_ count: Int, _ bytes: HeldBytes, _ context: ChannelHandlerContext) -> Bool {
        do {
            try bytes.take(count)
            return true
        } catch {
            giveUp("more is being read than there is room for; try again later", context)
            return false
        }
    }

    /// Ends the request that is coming in, for the sake of others.
    private func giveUp(_ detail: String, _ context: ChannelHandlerContext) {
        guard state.mayAnswerBody else { return drop(context) }
        answer(.serviceUnavailable, detail, context)
        context.fireErrorCaught(RequestTooSlow())
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isEnding else { return }
        if !state.isServing {
            switch error {
            case HTTPParserError.headerOverflow:
                answer(.requestHeaderFieldsTooLarge, "the head of the request is too large", context)
            case is HTTPParserError, is HTTP1TypeConversionError:
                answer(.badRequest, "this is not HTTP/1.1", context)
            default: break
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
                // The rest of a body that was refused unread is not worth reading off; it may be without end. And nobody
                // knows whether a client that has not been asked for its body sends it all the same.
                let isRefused = head.status == .unauthorized || head.status == .forbidden || awaitsContinue
                if drain.isDraining || isRefused && state.isReadingBody && held.count == 1 { answersLeft = 1 }
                if answersLeft == 1 { head.headerFields[.connection] = "close" }
            }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            state.answerEnded(now: .now())
            let bytes = held.popFirst()
            if let bytes { connection.answered(bytes) }
            if let bytes, bytes.count > HeldBytes.small {
                // Until the client, or the kernel, has all of it.
                let promise = promise ?? context.eventLoop.makePromise()
                promise.futureResult.whenComplete { _ in withExtendedLifetime(bytes) {} }
                context.write(data, promise: promise)
            } else {
                context.write(data, promise: promise)
            }
            if answersLeft == 1 {
                end(context)
            } else {
                answersLeft = answersLeft.map { $0 - 1 }
                arm(context)
            }
        }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is OpenConnection.AskForBody else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        promise?.succeed()
        guard awaitsContinue, !isEnding else { return }
        awaitsContinue = false
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        state.writabilityChanged(to: context.channel.isWritable, now: .now())
        arm(context)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ConnectionTable.MakePlace:
            if !isEnding, state.wait != .none {
                giveUp("others need the room that this takes; try again later", context)
            }
        case let refusal as HeadRules.Refusal:
            // Those before it are answered.
            if state.isServing { answersLeft = held.count } else { answer(.badRequest, refusal.detail, context) }
        case ChannelEvent.inputClosed:
            connection.clientHasGone()
            if isEnding { context.close(promise: nil) } else { context.fireUserInboundEventTriggered(event) }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Sees to it that the deadline is noticed; a timer that is early finds that out by itself, and costs a request nothing.
    private func arm(_ context: ChannelHandlerContext) {
        connection.waits(state.wait, now: .now())
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
        head.headerFields[.xContentTypeOptions] = "nosniff"
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
