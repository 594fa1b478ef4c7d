package import Redis
import Redlock

/// The fences that a value node has, beside the values that were written with them.
package struct ValueFences: AsyncSequence {
    package typealias Element = [(key: String, fence: Int64)]

    private let node: RedisNode

    /// - Parameter node: The value node, connected.
    package init(on node: RedisNode) { self.node = node }

    package func makeAsyncIterator() -> Iterator { Iterator(node: node) }

    /// Goes over all of them, some hundred at a time.
    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let node: RedisNode
        private var cursor: String? = "0"

        fileprivate init(node: RedisNode) { self.node = node }

        /// - Throws: `RedisError` when the node does not answer.
        package mutating func next() async throws(RedisError) -> Element? {
            guard let at = cursor else { return nil }
            let reply = try await node.send(
                RedisCommand("SCAN", at, "MATCH", FencedWrite.fencePrefix + "*", "COUNT", "1000"),
                within: .seconds(10)
            )
            guard case .array(let parts) = reply, parts.count == 2, let next = parts[0].string,
                case .array(let members) = parts[1]
            else { throw RedisError(.reply, endpoint: node.endpoint.description, message: "no answer to SCAN") }
            cursor = next == "0" ? nil : next
            let names = members.compactMap(\.string)
            let values = try await node.send(names.map { RedisCommand("GET", $0) }, within: .seconds(10))
            return zip(names, values).compactMap { name, value in
                value.string.flatMap { Int64($0) }.map { (String(name.dropFirst(FencedWrite.fencePrefix.count)), $0) }
            }
        }
    }
}
