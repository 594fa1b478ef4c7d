import NIOCore

/// What one connection is waiting for, and until when.
struct ConnectionState {
    /// What to do about a deadline that has passed.
    enum Action: Equatable {
        case wait
        case close
        /// The body did not come.
        case answerTooSlow
        /// The service did not answer.
        case answerUnavailable
    }

    /// What of its client's it waits for.
    enum Wait {
        case none
        /// A request, or the rest of its head.
        case forRequest
        /// The rest of a body, or that some of an answer is taken.
        case withinRequest
    }

    private let limits: Limits
    private var unanswered = 0
    /// The next request's head is awaited until then.
    private var head: NIODeadline?
    private var body: NIODeadline?
    private var answer: NIODeadline?
    /// The client is to take some of the answer until then.
    private var write: NIODeadline?

    private static let briefly: TimeAmount = .seconds(2)

    struct Limits: Sendable {
        let head, body, request, write, idle: TimeAmount

        init(_ configuration: IntakeConfiguration) {
            head = TimeAmount(configuration.headTimeout)
            body = TimeAmount(configuration.bodyTimeout)
            request = TimeAmount(configuration.requestTimeout)
            write = TimeAmount(configuration.writeTimeout)
            idle = TimeAmount(configuration.idleTimeout)
        }
    }

    /// - Parameters:
    ///   - limits: How long it waits for what.
    ///   - isBrief: Whether its first head is waited for as short a time as makes sense at all.
    ///   - now: On the monotonic clock.
    init(limits: Limits, isBrief: Bool = false, now: NIODeadline) {
        self.limits = limits
        head = now + (isBrief ? min(limits.head, Self.briefly) : limits.head)
    }

    /// When something has to be done, unless something happens before.
    var deadline: NIODeadline? { [head, body, answer, write].compactMap { $0 }.min() }
    /// Whether it is the client's turn.
    var wait: Wait { body != nil || write != nil ? .withinRequest : head != nil ? .forRequest : .none }
    /// Whether the body of a request still comes in.
    var isReadingBody: Bool { body != nil }
    /// Whether a request is being served, or comes in.
    var isServing: Bool { unanswered > 0 }
    /// Whether the request that comes in can be answered now: no other is before it, and its own answer has not begun.
    var mayAnswerBody: Bool { body != nil && unanswered == 1 && answer != nil }

    mutating func headRead(now: NIODeadline) {
        unanswered += 1
        head = nil
        body = now + limits.body
        if unanswered == 1 { answer = now + limits.request }
    }

    mutating func bodyRead(now: NIODeadline) {
        body = nil
        if unanswered == 0 { head = now + limits.idle }
    }

    mutating func answerBegun() { answer = nil }

    mutating func answerEnded(now: NIODeadline) {
        unanswered -= 1
        answer = unanswered > 0 ? now + limits.request : nil
        if unanswered == 0, body == nil { head = now + limits.idle }
    }

    mutating func writabilityChanged(to isWritable: Bool, now: NIODeadline) {
        write = isWritable ? nil : now + limits.write
    }

    /// Judges what has passed.
    func expired(now: NIODeadline) -> Action {
        func isPast(_ deadline: NIODeadline?) -> Bool { deadline.map { $0 <= now } ?? false }
        if isPast(head) || isPast(write) { return .close }
        if isPast(body) { return mayAnswerBody ? .answerTooSlow : .close }
        return isPast(answer) ? .answerUnavailable : .wait
    }
}
