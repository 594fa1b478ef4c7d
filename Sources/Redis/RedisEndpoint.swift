/// Where a node is and how to be let in: the parts of its URL.
///
/// It holds a password: log ``description``, which leaves credentials out, and nothing else of it.
package struct RedisEndpoint: Sendable, Hashable {
    /// The place a node listens at.
    package enum Address: Sendable, Hashable {
        /// A name or an IP address (IPv6 without brackets), looked up anew for each connection.
        case tcp(host: String, port: Int)
        /// A socket in the file system of this machine.
        case unixSocket(path: String)
    }

    /// How a connection is encrypted.
    package struct TLS: Sendable, Hashable {
        /// PEM file of the authorities to trust; the system's when `nil`.
        package var authoritiesFile: String?
        /// PEM file of this client's certificate chain, for nodes that ask for one.
        package var certificateFile: String?
        /// PEM file of the key to `certificateFile`.
        package var keyFile: String?
        /// Whether the node's certificate and name are checked.
        ///
        /// True unless the URL says `verify=none`.
        package var verifiesNode = true

        /// Makes the settings of a connection that trusts the system's authorities.
        package init() {}
    }

    /// The port of a URL that names none.
    package static let defaultPort = 6379

    /// The place the node listens at.
    package var address: Address
    /// The ACL user; `nil` is Redis's user `default`.
    package var user: String?
    /// The password; with `nil` the connection does not authenticate.
    package var password: String?
    /// The number of the database to select.
    package var database: Int
    /// How the connection is encrypted; `nil` when it is not.
    package var tls: TLS?

    /// Makes an endpoint from its parts.
    package init(
        _ address: Address,
        user: String? = nil,
        password: String? = nil,
        database: Int = 0,
        tls: TLS? = nil
    ) {
        self.address = address
        self.user = user
        self.password = password
        self.database = database
        self.tls = tls
    }
}

extension RedisEndpoint: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The node for logs and metrics, as in `redis-2:6379` or `/run/redis.sock`: no credentials, no database.
    package var description: String {
        switch address {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unixSocket(let path): path
        }
    }

    /// The same as ``description``: what prints for debugging ends in logs, too.
    package var debugDescription: String { description }

    /// Shows ``description`` alone, so that `dump` and `String(reflecting:)` of what holds this leave the password out.
    package var customMirror: Mirror { Mirror(self, children: ["node": description]) }
}
