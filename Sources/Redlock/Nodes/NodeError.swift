import Redis

/// Why a node cannot be used, or has not done what it was asked for.
public struct NodeError: Error, Sendable, CustomStringConvertible {
    /// What is wrong with which node, without credentials.
    public let description: String

    package init(description: String) { self.description = description }

    init(_ error: RedisError) { description = error.description }

    static func endpoint(_ url: String) throws(NodeError) -> RedisEndpoint {
        do {
            return try RedisEndpoint(url)
        } catch {
            throw NodeError(error)
        }
    }
}
