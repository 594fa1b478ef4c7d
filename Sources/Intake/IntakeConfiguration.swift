/// What an ``Intake`` is made with.
package struct IntakeConfiguration: Sendable {
    /// Who is let in.
    package enum Access: Sendable {
        /// On loopback anyone, until a token has been made; elsewhere who has a token.
        case automatic
        /// Who has a token.
        case tokens
        /// Anyone.
        case open
    }

    /// The address that it listens on; default loopback.
    package var host = "127.0.0.1"
    /// The port; default 3000, 0 takes any.
    package var port = 3000
    /// Who is let in; default: by address.
    package var access = Access.automatic
    /// How long the simulated job of `POST /lockAndSetValue` takes; default 10 s.
    package var simulatedJob: Duration = .seconds(10)
    /// The most MiB of requests that are being read, parsed, or wait to be stored or for their client to take the answer;
    /// beyond, a request is answered 503 at once; default 64.
    package var waitingMegabytes = 64
    /// The most connections at once; default 4,096.
    ///
    /// Beyond, the one that has waited longest for its client is closed for a new one; when none waits, the new one is
    /// answered 503.
    package var maxConnections = 4096
    /// The most bytes of a request's head; default 16 KiB, beyond which it is answered 431.
    package var maxHeadBytes = 16 << 10
    /// The most header fields; default 100.
    package var maxHeaderFields = 100
    /// How long a new connection may take until its first request's head is there, TLS included; default 10 s.
    package var headTimeout: Duration = .seconds(10)
    /// How long a request's body may take; default 30 s, then it is answered 408.
    package var bodyTimeout: Duration = .seconds(30)
    /// How long an answer may take to begin, from the request's head; default 90 s, then it is 503.
    package var requestTimeout: Duration = .seconds(90)
    /// How long a client may take none of an answer; default 30 s.
    package var writeTimeout: Duration = .seconds(30)
    /// How long a connection may wait for its next request; default 60 s.
    package var idleTimeout: Duration = .seconds(60)

    /// The defaults.
    package init() {}

    /// Whether only this machine can reach it.
    package var isLoopback: Bool { Self.isLoopback(host) }

    /// Whether a host, in lower case, is this machine to itself; nobody can have such a name lead elsewhere, or here.
    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host.hasSuffix(".localhost") || host == "::1"
            || (host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." })
    }
}
