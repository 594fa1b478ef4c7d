package import Logging
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
        self.watch = watch
        self.connection = RedisNode(endpoint, configuration: connection, logger: logger)
    }

    package var mayVote: Bool { connection.isConnected && !watch.isQuarantined() }

    package func run() async { await connection.run() }

    package func ask(
        _ question: LockQuestion,
        within deadline: Duration,
        _ answer: @escaping @Sendable (LockAnswer) -> Void
    ) -> (any PendingVote)? {
        // Whatever it has forgotten, a release does no harm, and a lock of ours may still be there.
        if question.kind != .release, watch.isQuarantined() {
            answer(LockAnswer(.quarantined))
            return nil
        }
        return connection.send(Self.command(question), within: deadline) { [watch] result in
            switch result {
            // What was asked before there was a connection went to a node that turned out to be in quarantine.
            case .success where question.kind != .release && watch.isQuarantined(): answer(LockAnswer(.quarantined))
            case .success(let reply): answer(Self.answer(reply, to: question))
            case .failure(let error): answer(LockAnswer(error.isLate ? .late : .unreachable))
            }
        }
    }

    // Scripts go by their source, not their hash: one that is sent takes effect although nobody waits for it any more,
    // and a node that did not know the hash would have to be asked twice.
    private static func command(_ question: LockQuestion) -> RedisCommand {
        let ttl = Int(question.ttl.milliseconds)
        switch question.kind {
        case .acquire where question.names.count == 1:
            return RedisCommand("SET", question.names[0], question.token, "NX", "PX", ttl)
        case .acquire: return LockScripts.acquire.command(question.names, question.token, ttl)
        case .extend: return LockScripts.extend.command(question.names, question.token, ttl)
        case .release: return LockScripts.release.command(question.names, question.token)
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
        default: LockAnswer(.unreachable)
        }
    }
}

extension RedisError {
    fileprivate var isLate: Bool { code == .deadline || code == .cancelled }
}

extension RedisScript {
    fileprivate func command(_ names: [String], _ arguments: any RedisArgument...) -> RedisCommand {
        evaluationBySource(Input(keys: names, arguments: arguments))
    }
}

extension PendingReply: PendingVote {}
