/// Why a node's answer was not had.
///
/// An error reply of the server (`-ERR …`) to a command is no such error: it is a ``RedisReply``.
package struct RedisError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong; the part that callers switch over.
    package enum Code: String, Sendable {
        /// The URL does not name a node.
        case badEndpoint = "bad endpoint"
        /// There is no connection; the command was not sent.
        case notConnected = "not connected"
        /// The connection ended before the reply came; whether the command took effect is unknown.
        case connectionLost = "connection lost"
        /// The deadline passed before the reply came; whether the command took effect is unknown.
        case deadline = "deadline passed"
        /// The caller was cancelled before the reply came; whether the command took effect is unknown.
        case cancelled = "cancelled"
        /// Too much waits for this node; the command was not sent.
        case overloaded = "overloaded"
        /// The other side sent what no Redis server sends.
        case protocolViolation = "protocol violation"
        /// The node refuses the user or the password, or wants one.
        case authenticationFailed = "authentication failed"
        /// The node answered with an error what must not fail: a part of the connection's set-up, or a write.
        case reply = "refused"
    }

    /// What went wrong.
    package let code: Code
    /// The node, as ``RedisEndpoint/description`` gives it: without credentials.
    package let endpoint: String
    /// The reason, in the words of the other side or of the system, without credentials.
    package let message: String

    /// Makes an error about `endpoint`.
    package init(_ code: Code, endpoint: String, message: String) {
        self.code = code
        self.endpoint = endpoint
        self.message = message
    }

    /// One line for a log: what happened, to which node, and what follows from it.
    package var description: String {
        switch code {
        case .badEndpoint:
            "bad Redis URL: \(message); the form is redis://[user[:password]@]host[:port][/database]"
        case .notConnected:
            "cannot reach node \(endpoint) (\(message))"
        case .connectionLost:
            "lost the connection to node \(endpoint) (\(message)); what was sent may or may not have taken effect"
        case .deadline:
            "no answer from node \(endpoint) \(message); what was sent may still take effect"
        case .cancelled:
            "cancelled while waiting for node \(endpoint); what was sent may still take effect"
        case .overloaded:
            "too much waits for node \(endpoint) (\(message)); send less, or raise the limit"
        case .protocolViolation:
            "node \(endpoint) does not speak RESP (\(message)); check that its URL names a Redis server"
        case .authenticationFailed:
            "node \(endpoint) refuses the credentials (\(message)); correct user and password in its URL"
        case .reply:
            "node \(endpoint) answered with an error: \(message)"
        }
    }
}
