import NIOCore
import Synchronization

extension RedisNode {
    /// Sends a command and waits for its reply.
    ///
    /// The caller is resumed at its deadline, or when it is cancelled, whatever the node does. What it has sent may still
    /// take effect: send what undoes it, which the node gets later.
    /// - Parameters:
    ///   - command: The command.
    ///   - limit: How long the reply is waited for, from now. Before the first attempt to connect has ended it covers
    ///     the wait for that, too.
    /// - Returns: The reply; an error reply is one, too.
    /// - Throws: ``RedisError`` when there is no reply.
    package func send(_ command: RedisCommand, within limit: Duration) async throws(RedisError) -> RedisReply {
        switch await exchange(RedisCommands(command), isBatch: false, within: limit) {
        case .success(.one(let reply)): return reply
        case .success(.batch): preconditionFailure("one command has one reply")
        case .failure(let error): throw error
        }
    }

    /// Sends commands, back to back, and waits for all their replies.
    ///
    /// They are no transaction: commands of others are not kept out from between them on the node.
    /// - Parameters:
    ///   - commands: The commands. With none, nothing is sent.
    ///   - limit: How long all the replies are waited for, from now.
    /// - Returns: One reply for each command, in the commands' order; error replies are replies.
    /// - Throws: ``RedisError`` when one reply or more is missing.
    package func send(_ commands: [RedisCommand], within limit: Duration) async throws(RedisError) -> [RedisReply] {
        guard !commands.isEmpty else { return [] }
        switch await exchange(RedisCommands(commands), isBatch: true, within: limit) {
        case .success(.batch(let replies)): return replies
        case .success(.one): preconditionFailure("a batch has a list of replies")
        case .failure(let error): throw error
        }
    }

    /// Sends commands, back to back, and has their replies handed to a closure: for those who ask several nodes the same.
    ///
    /// - Parameters:
    ///   - commands: The commands; at least one.
    ///   - limit: How long all the replies are waited for, from now; more than zero.
    ///   - completion: Called once, on any thread, with one reply for each command; it must return at once.
    /// - Returns: What may shorten the wait.
    package func send(
        _ commands: RedisCommands,
        within limit: Duration,
        completion: @escaping @Sendable (Result<[RedisReply], RedisError>) -> Void
    ) -> PendingReply {
        let call = Call(within: limit)
        call.wait { outcome in
            completion(
                outcome.map { answer in
                    guard case .batch(let replies) = answer else {
                        preconditionFailure("a batch has a list of replies")
                    }
                    return replies
                }
            )
        }
        submit(call, commands, isBatch: true)
        return PendingReply(node: self, call: call)
    }

    private func exchange(
        _ commands: RedisCommands,
        isBatch: Bool,
        within limit: Duration
    ) async -> Call.Outcome {
        guard limit > .zero else { return .failure(failure(.deadline, "within \(limit.milliseconds)")) }
        let call = Call(within: limit)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call.wait { continuation.resume(returning: $0) }
                submit(call, commands, isBatch: isBatch)
            }
        } onCancel: {
            cancel(call)
        }
    }

    fileprivate func cancel(_ call: Call) {
        guard let call = exchange.withLock({ $0.cancel(call) }) else { return }
        call.resume(.failure(failure(.cancelled, "while it waited")))
    }

    fileprivate func hasten(_ call: Call, within limit: Duration) {
        guard limit > .zero else { return cancel(call) }
        let deadline = NIODeadline.now() + TimeAmount(clamping: limit)
        if let sweepAt = exchange.withLock({ $0.hasten(call, to: deadline) }) { scheduleSweep(at: sweepAt) }
    }

    private func submit(_ call: Call, _ commands: RedisCommands, isBatch: Bool) {
        switch exchange.withLock({ $0.admit(call, commands, isBatch: isBatch) }) {
        case .refused(let code, let message):
            call.resume(.failure(failure(code, message)))
        case .admitted(let needsFlush, let sweepAt):
            // Who finds the outbox empty has it flushed; all that is appended until then goes along.
            if needsFlush { eventLoop.execute { self.flush() } }
            if let sweepAt { scheduleSweep(at: sweepAt) }
        }
    }

    /// Has the calls given up whose deadline has passed: one timer for all of them.
    private func scheduleSweep(at deadline: NIODeadline) {
        eventLoop.scheduleTask(deadline: deadline) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        let (late, next) = exchange.withLock { $0.sweep(at: .now()) }
        for call in late {
            call.resume(.failure(failure(.deadline, "within \(call.limit.milliseconds)")))
        }
        if let next { scheduleSweep(at: next) }
    }
}

/// A reply that somebody waits for.
package struct PendingReply: Sendable {
    fileprivate let node: RedisNode
    fileprivate let call: Call

    /// Waits no longer than `limit` from now; with zero, gives up at once.
    package func giveUp(within limit: Duration) { node.hasten(call, within: limit) }
}
