package import Logging
import PlantedBugs
package import Redis

/// A Redis node that votes on locks.
package final class RedisLockNode: LockNode {
    /// The connection, for those who use the node for something else, too.
    package let connection: RedisNode
    package let name: String
    private let watch: NodeWatch

    /// Makes a node that is not connected yet.
    ///
    /// - Parameters:
    ///   - endpoint: Where it is.
    ///   - configuration: Says how long it is kept out after a restart.
    ///   - logger: Gets a line when the node is lost, is back, or is kept out.
    package init(
        _ endpoint: RedisEndpoint,
        configuration: RedlockConfiguration = RedlockConfiguration(),
        logger: Logger
    ) {
        name = endpoint.description
        let watch = NodeWatch(name: name, configuration: configuration, logger: logger)
        var connection = RedisNodeConfiguration()
        connection.onStateChange = { watch.changed($0) }
        connection.scripts = LockScripts.all
        self.watch = watch
        self.connection = RedisNode(endpoint, configuration: connection, logger: logger)
    }

    package var mayVote: Bool { connection.isConnected && !watch.isQuarantined() }

    package func run() async { await connection.run() }

    package func ask(
        _ questions: LockQuestions,
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) -> (any PendingVote)? {
        guard watch.isQuarantined() else { return send(questions, within: deadline, answer) }
        // Whatever it has forgotten, a release does no harm, and a lock of ours may still be there.
        let releases = questions.list.filter { $0.kind == .release }
        let fill: @Sendable ([LockAnswer]) -> Void = { released in
            var released = released[...]
            answer(questions.list.map { $0.kind == .release ? released.removeFirst() : LockAnswer(.quarantined) })
        }
        guard releases.isEmpty else { return send(LockQuestions(releases), within: deadline, fill) }
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
            isQuarantined && question.kind != .release ? LockAnswer(.quarantined) : Self.answer(reply, to: question)
        }
    }

    private static func answer(_ reply: RedisReply, to question: LockQuestion) -> LockAnswer {
        switch (question.kind, reply) {
        case (.acquire, .simple("OK")), (.acquire, .integer(1)): LockAnswer(.granted)
        case (.acquire, .null), (.acquire, .integer): LockAnswer(.held)
        case (.extend, .integer(-3)): LockAnswer(.held)
        case (.extend, .integer(let left)): LockAnswer(.granted, left: .milliseconds(left))
        case (.release, .integer(let count)): LockAnswer(count == question.names.count ? .granted : .held)
        // An error reply, such as a read-only replica's: the node takes no part.
        default: LockAnswer(PlantedBug.errorIsVote.isPlanted ? .granted : .unreachable)
        }
    }
}

extension RedisError {
    fileprivate var isLate: Bool { code == .deadline || code == .cancelled }
}

extension PendingReply: PendingVote {}
