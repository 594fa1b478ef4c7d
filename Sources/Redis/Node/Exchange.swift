import NIOCore

/// What a node's callers and its connection share, under the node's lock: the bytes to be written, and who waits for what.
///
/// It has no effects: each method says what the caller is to do once the lock is free again.
struct Exchange: ~Copyable {
    /// How things stand with the connection.
    enum Phase {
        /// No attempt to connect has ended yet: what is sent waits.
        case opening
        /// Commands are written.
        case serving(any Channel, RedisServerInfo?)
        /// The last connection, or attempt, ended for this reason: what is sent fails.
        case down(RedisError)
    }

    /// What becomes of a send.
    enum Admission {
        /// It waits.
        ///
        /// The outbox is to be flushed, and a sweep scheduled, where the answer says so.
        case admitted(flush: Bool, sweepAt: NIODeadline?)
        /// It fails, and nothing of it is sent.
        case refused(RedisError.Code, String)
    }

    private(set) var phase = Phase.opening
    private var outbox = ByteBuffer()
    private var queue = ReplyQueue<Call>()
    private var owedSince = NIODeadline.uptimeNanoseconds(0)
    /// When the next sweep is due; nobody's deadline is before it, or a sweep would be late.
    private var sweepAt = NIODeadline.distantFuture
    /// The kind of trouble that was last told; `nil` after a connection.
    private var reported: RedisError.Code?

    private let maximumCommands: Int
    private let maximumBytes: Int

    init(configuration: RedisNodeConfiguration) {
        maximumCommands = configuration.maximumCommands
        maximumBytes = configuration.maximumBytes
    }

    /// Since when replies are owed without a break; `nil` when none is.
    var isOwedSince: NIODeadline? { queue.owed > 0 ? owedSince : nil }

    /// Appends commands to the outbox and a place for their replies to the queue.
    mutating func admit(_ call: Call, _ commands: RedisCommands, isBatch: Bool) -> Admission {
        if call.isCancelled { return .refused(.cancelled, "before it was sent") }
        if case .down(let error) = phase { return .refused(.notConnected, error.message) }
        let count = commands.count
        guard queue.owed + count <= maximumCommands else {
            return .refused(.overloaded, "\(queue.owed) commands, at most \(maximumCommands)")
        }
        let wasEmpty = outbox.readableBytes == 0
        guard outbox.readableBytes + commands.bytes.count <= maximumBytes else {
            return .refused(.overloaded, "\(outbox.readableBytes) bytes, at most \(maximumBytes)")
        }
        // Since when: from the deadline's beginning, which is now but for the wait at the lock.
        if queue.owed == 0 { owedSince = call.deadline - TimeAmount(clamping: call.limit) }
        outbox.writeBytes(commands.bytes)
        call.ticket = isBatch ? queue.append(call, batchOf: count) : queue.append(call)
        guard call.deadline < sweepAt else { return .admitted(flush: wasEmpty, sweepAt: nil) }
        sweepAt = call.deadline
        return .admitted(flush: wasEmpty, sweepAt: sweepAt)
    }

    /// Takes what is to be written now; `nil` when there is nothing, or the channel takes nothing.
    mutating func takeOutbox(replacedBy empty: consuming ByteBuffer) -> (channel: any Channel, bytes: ByteBuffer)? {
        guard case .serving(let channel, _) = phase, outbox.readableBytes > 0, channel.isWritable else { return nil }
        let bytes = outbox
        outbox = empty
        return (channel, bytes)
    }

    /// Matches replies with calls.
    ///
    /// - Parameters:
    ///   - replies: What came, in order; pushes are passed over.
    ///   - resumptions: Gets the calls whose replies are all in.
    /// - Returns: Whether each reply had a place.
    mutating func received(_ replies: [RedisReply], _ resumptions: inout [(Call, Call.Answer)]) -> Bool {
        for reply in replies {
            if case .push = reply { continue }
            switch queue.received(reply) {
            case .resume(let call, let reply): resumptions.append((call, .one(reply)))
            case .resumeBatch(let call, let replies): resumptions.append((call, .batch(replies)))
            case .wait, .drop: break
            case .close: return false
            }
        }
        return true
    }

    /// Gives up a call whose task was cancelled; `nil` when it is over, or was not admitted yet.
    mutating func cancel(_ call: Call) -> Call? {
        call.isCancelled = true
        return call.ticket.flatMap { queue.abandon($0) }
    }

    /// Makes a call's deadline an earlier one.
    ///
    /// - Returns: When a sweep is to be scheduled; `nil` when none is needed.
    mutating func hasten(_ call: Call, to deadline: NIODeadline) -> NIODeadline? {
        guard deadline < call.deadline else { return nil }
        call.deadline = deadline
        guard deadline < sweepAt, queue.owed > 0 else { return nil }
        sweepAt = deadline
        return sweepAt
    }

    /// Gives up the calls whose deadline has passed.
    ///
    /// - Returns: Those calls, and when to sweep again; `nil` when nobody waits.
    mutating func sweep(at now: NIODeadline) -> (late: [Call], next: NIODeadline?) {
        // A sweep for a deadline that an earlier one has replaced.
        guard now >= sweepAt else { return ([], nil) }
        var earliest = NIODeadline.distantFuture
        let late = queue.abandon { call in
            if call.deadline > now { earliest = min(earliest, call.deadline) }
            return call.deadline <= now
        }
        guard earliest < .distantFuture else {
            sweepAt = .distantFuture
            return (late, nil)
        }
        // Sweeps walk the whole queue (some 5 ns a place): in a long queue they take a tenth of the time at most.
        sweepAt = max(earliest, now + .microseconds(1000 + Int64(queue.count) / 20))
        return (late, sweepAt)
    }

    /// Opens the way for commands.
    mutating func connected(_ channel: any Channel, _ info: RedisServerInfo?) {
        phase = .serving(channel, info)
        reported = nil
    }

    /// Ends a connection, or an attempt at one.
    ///
    /// - Returns: The calls that fail with it, why they do, and whether the kind of trouble is a new one.
    mutating func ended(_ error: RedisError) -> (failed: [Call], code: RedisError.Code, isNews: Bool) {
        let code: RedisError.Code = if case .serving = phase { .connectionLost } else { .notConnected }
        phase = .down(error)
        outbox.clear()
        // A node that is lost and then out of reach is in the same trouble, which was told.
        let kind = error.code == .connectionLost ? .notConnected : error.code
        let isNews = reported != kind
        reported = kind
        return (queue.removeAll(), code, isNews)
    }

    /// Makes sends wait again, as before the first attempt.
    mutating func open() {
        phase = .opening
        reported = nil
    }
}
