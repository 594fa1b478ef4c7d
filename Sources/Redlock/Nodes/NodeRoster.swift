import Synchronization

/// Which servers the nodes of one lock are, so that two names of one server are not taken for two.
package final class NodeRoster: Sendable {
    /// By the node's watch: two databases of one server have one name.
    private let entries = Mutex<[ObjectIdentifier: (name: String, run: String)]>([:])

    package init() {}

    /// Notes which run of which server a node is.
    ///
    /// - Returns: Another node that is the same; `nil` when none is.
    func enter(_ node: ObjectIdentifier, _ name: String, run: String) -> String? {
        entries.withLock { entries in
            entries[node] = nil
            if let twin = entries.values.first(where: { $0.run == run })?.name { return twin }
            entries[node] = (name, run)
            return nil
        }
    }
}
