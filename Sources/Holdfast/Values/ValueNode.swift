package import Logging
package import Redis
package import Redlock
import Synchronization

/// The node that has the values, and whether it can be written to now.
package final class ValueNode: Sendable {
    package let connection: RedisNode
    private let probe: NodeProbe
    private let logger: Logger
    /// When the connection was made whose node was looked at.
    private let checkedAt = Mutex<ContinuousClock.Instant?>(nil)

    /// - Parameters:
    ///   - connection: To the node; somebody else keeps it connected.
    ///   - logger: Gets a line for each way in which it is not set up as values need it. That nothing can be written is said
    ///     by those who have to.
    package init(_ connection: RedisNode, logger: Logger) {
        self.connection = connection
        var logger = logger
        logger[metadataKey: "node"] = "\(connection.endpoint)"
        self.logger = logger
        probe = NodeProbe(name: connection.endpoint.description, messages: nil, logger: logger)
    }

    /// The node, by host and port.
    package var name: String { connection.endpoint.description }

    /// Why no value can be written now, in words; `nil` when one can.
    package var obstacle: String? {
        if let trouble = connection.trouble { return "cannot reach the value node \(name) (\(trouble))" }
        if let refusal { return "the value node \(name) answers writes with an error: \(refusal)" }
        return probe.isKnown ? nil : "the value node \(name) does not answer"
    }

    /// Why it refuses to be written to although it answers; `nil` when it does not.
    package var refusal: NodeRefusal? { NodeFitness.misfit(asValueNode: connection.serverInfo) ?? probe.refusal }

    /// What it should be told otherwise, in words.
    package var warnings: [String] {
        connection.isConnected ? NodeFitness.warnings(ofValueNode: connection.serverInfo) : []
    }

    /// Whether it has been written to on its present connection, or has refused that.
    package var isKnown: Bool { connection.isConnected && probe.isKnown }

    /// Tries again and again whether it can be written to, until the task is cancelled.
    package func run() async {
        await probe.run { [self] in
            let answer = await FencedWrite.probe(connection)
            check()
            return answer
        }
    }

    /// Says, once for each connection, in which ways the node is not set up as values need it.
    private func check() {
        guard connection.isConnected else { return }
        let readAt = connection.serverInfo?.readAt
        let isNews = checkedAt.withLock { checkedAt in
            defer { checkedAt = readAt ?? .now }
            return checkedAt == nil || (readAt != nil && checkedAt != readAt)
        }
        guard isNews else { return }
        for warning in warnings {
            logger.warning("Value node is not set up as values need it", metadata: ["error": "\(warning)"])
        }
    }

    /// Takes in that a write was refused for a reason that is the node's.
    func refused(_ refusal: NodeRefusal) { probe.refused(refusal) }
}
