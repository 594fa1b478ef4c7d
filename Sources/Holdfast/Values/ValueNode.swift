package import Logging
package import Redis
package import Redlock

/// The node that has the values, and whether it can be written to now.
package final class ValueNode: Sendable {
    package let connection: RedisNode
    private let probe: NodeProbe

    /// - Parameters:
    ///   - connection: To the node; somebody else keeps it connected.
    ///   - logger: For debugging: that nothing can be written is said by those who have to.
    package init(_ connection: RedisNode, logger: Logger) {
        self.connection = connection
        probe = NodeProbe(name: connection.endpoint.description, messages: nil, logger: logger)
    }

    /// The node, by host and port.
    package var name: String { connection.endpoint.description }

    /// Why no value can be written now, in words; `nil` when one can.
    package var obstacle: String? {
        if let trouble = connection.trouble { return "cannot reach the value node \(name) (\(trouble))" }
        if let refusal = probe.refusal { return "the value node \(name) answers writes with an error: \(refusal)" }
        return probe.isKnown ? nil : "the value node \(name) does not answer"
    }

    /// Why it refuses to be written to although it answers; `nil` when it does not.
    package var refusal: NodeRefusal? { probe.refusal }

    /// Whether it has been written to on its present connection, or has refused that.
    package var isKnown: Bool { connection.isConnected && probe.isKnown }

    /// Tries again and again whether it can be written to, until the task is cancelled.
    package func run() async {
        await probe.run { [connection] in await FencedWrite.probe(connection) }
    }

    /// Takes in that a write was refused for a reason that is the node's.
    func refused(_ refusal: NodeRefusal) { probe.refused(refusal) }
}
