package import Logging
import PlantedBugs
package import Redis

/// A Redis node that votes on locks.
package final class RedisLockNode: LockNode {
    /// The connection, for those who use the node for something else, too.
    package let connection: RedisNode
    package let name: String
    private let watch: NodeWatch
    private let prefix: String

    /// Makes a node that is not connected yet.
    ///
    /// - Parameters:
    ///   - endpoint: Where it is.
    ///   - configuration: Says how long it is kept out after a restart, and what locks are called.
    ///   - roster: Shared with the other nodes of the same lock.
    ///   - logger: Gets a line when the node is lost, is back, is kept out, or answers with errors.
    package init(
        _ endpoint: RedisEndpoint,
        configuration: RedlockConfiguration = RedlockConfiguration(),
        roster: NodeRoster? = nil,
        logger: Logger
    ) {
        name = endpoint.description
        let watch = NodeWatch(name: name, configuration: configuration, roster: roster, logger: logger)
        var connection = RedisNodeConfiguration()
        connection.onStateChange = { watch.changed($0) }
        connection.onReady = { watch.probe.askSoon() }
        connection.scripts = LockScripts.all
        connection.identityKey = NodeFitness.identityKey
        self.watch = watch
        prefix = configuration.prefix
        self.connection = RedisNode(endpoint, configuration: connection, logger: logger)
    }

    package var mayVote: Bool {
        connection.isConnected && !watch.isQuarantined() && watch.probe.isInOrder && !watch.isRefusing
    }

    package var obstacle: String? {
        if let trouble = connection.trouble { return "not connected: \(trouble)" }
        guard connection.isConnected else { return "not connected" }
        if let refusal { return "\(refusal)" }
        if let left = watch.quarantineLeft {
            return "in quarantine for \(left.milliseconds / 1000 + 1) s more: it may have forgotten locks"
        }
        return watch.probe.isKnown ? nil : "it has not answered yet"
    }

    /// Why it has no vote although it answers; `nil` when it does what it is asked for.
    package var refusal: NodeRefusal? { watch.refusal }

    package var warnings: [String] { watch.warnings }

    package var identity: String? { watch.identity }

    /// Whether it may have forgotten locks, and has no vote.
    package var isQuarantined: Bool { connection.isConnected && watch.isQuarantined() }

    /// Whether all is known of it that is to be known: it is connected, and has been asked what locks ask.
    package var isKnown: Bool { connection.isConnected && watch.probe.isKnown }

    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [connection] in await connection.run() }
            await watch.probe.run { [self] in await probe() }
        }
    }

    /// Asks for a lock of nobody's, extends it and gives it back.
    private func probe() async -> NodeProbe.Answer {
        if watch.isMisfit {
            let reply = try? await connection.send(RedisCommand("INFO"), within: NodeProbe.deadline)
            // Without an answer it stays what it is.
            if let info = reply?.string.flatMap({ RedisServerInfo($0, readAt: .now) }) { watch.checkAgain(info) }
        }
        let name = prefix + "holdfast:probe:" + String(UInt64.random(in: .min ... .max), radix: 36)
        let questions = LockQuestions(
            [.acquire, .extend, .release].map { kind in
                LockQuestion(kind, names: [name], token: name, ttl: .seconds(1))
            }
        )
        return await withCheckedContinuation { continuation in
            _ = connection.send(questions.commandsBySource, within: NodeProbe.deadline) { result in
                guard case .success(let replies) = result else { return continuation.resume(returning: .none) }
                let error = replies.lazy.compactMap(\.error).first
                continuation.resume(returning: error.map { .refused(NodeRefusal($0)) } ?? .done)
            }
        }
    }

    package func ask(
        _ questions: LockQuestions,
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) -> (any PendingVote)? {
        // Whatever it has forgotten, a release does no harm, and a lock of ours may still be there. One that refuses new locks
        // may well extend those that it has, as a full one does.
        let verdict: Vote.Verdict
        let isAsked: @Sendable (LockQuestion) -> Bool
        if watch.isQuarantined() {
            (verdict, isAsked) = (.quarantined, { $0.kind == .release })
        } else if watch.isRefusing {
            (verdict, isAsked) = (.refused, { $0.kind != .acquire })
        } else {
            return send(questions, within: deadline, answer)
        }
        let asked = questions.list.filter(isAsked)
        let fill: @Sendable ([LockAnswer]) -> Void = { answers in
            var answers = answers[...]
            answer(questions.list.map { isAsked($0) ? answers.removeFirst() : LockAnswer(verdict) })
        }
        guard asked.isEmpty else { return send(LockQuestions(asked), within: deadline, fill) }
        fill([])
        return nil
    }

    @discardableResult
    private func send(
        _ questions: LockQuestions,
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) -> any PendingVote {
        let commands = watch.knowsScripts ? questions.commands : questions.commandsBySource
        return connection.send(commands, within: deadline) { [self] result in
            switch result {
            case .success(let replies) where replies.contains(where: \.isUnknownScript):
                sendAgain(questions, replies, within: deadline, answer)
            case .success(let replies):
                answer(answers(replies, to: questions))
            case .failure(let error):
                answer(Array(repeating: LockAnswer(error.isLate ? .late : .unreachable), count: questions.list.count))
            }
        }
    }

    /// Sends by their source the scripts that somebody had the node forget.
    private func sendAgain(
        _ questions: LockQuestions,
        _ replies: [RedisReply],
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) {
        watch.forgetScripts()
        let unknown = replies.indices.filter { replies[$0].isUnknownScript }
        send(LockQuestions(unknown.map { questions.list[$0] }), within: deadline) { [self] more in
            var answers = answers(replies, to: questions)
            for (index, answer) in zip(unknown, more) { answers[index] = answer }
            answer(answers)
        }
    }

    private func answers(_ replies: [RedisReply], to questions: LockQuestions) -> [LockAnswer] {
        // What was asked before there was a connection may have gone to a node that is in quarantine.
        let isQuarantined = watch.isQuarantined()
        return zip(questions.list, replies).map { question, reply in
            // An error to another question may be the key's own: somebody may have put something else under the lock's name.
            if question.kind == .acquire, let error = reply.error { watch.probe.refused(NodeRefusal(error)) }
            return isQuarantined && question.kind != .release
                ? LockAnswer(.quarantined) : Self.answer(reply, to: question)
        }
    }

    private static func answer(_ reply: RedisReply, to question: LockQuestion) -> LockAnswer {
        switch (question.kind, reply) {
        case (.acquire, .simple("OK")), (.acquire, .integer(1)): LockAnswer(.granted)
        case (.acquire, .null), (.acquire, .integer): LockAnswer(.held)
        case (.extend, .integer(-3)): LockAnswer(.held)
        case (.extend, .integer(let left)): LockAnswer(.granted, left: .milliseconds(left))
        case (.release, .integer(let count)): LockAnswer(count == question.names.count ? .granted : .held)
        // An error, such as a read-only replica's.
        default: LockAnswer(PlantedBug.errorIsVote.isPlanted ? .granted : .refused)
        }
    }
}

extension RedisError {
    fileprivate var isLate: Bool { code == .deadline || code == .cancelled }
}

extension PendingReply: PendingVote {}
