import HTTPTypes
import Hummingbird

/// Tells what a program or our own page asks from what the page of another site has a reader's browser ask.
///
/// An intake that lets anyone in takes a request for what it is worth, and a browser sends one wherever a page tells it to,
/// to this machine too. A token needs no such check: a browser adds none by itself.
struct SiteCheck: Sendable {
    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site")!  // A valid name.
    private static let safeMethods: Set<HTTPRequest.Method> = [.get, .head, .options]

    /// Whether nobody but this machine's own programs and browsers are meant to get in.
    let isForThisMachine: Bool

    /// Judges a request that has no token.
    ///
    /// - Returns: Why it is refused; `nil` when it is not.
    func refusal(of request: Request) -> Problem? {
        let host = request.head.authority
        // A name of somebody else's that leads here: to a browser, all of this is then that site's own, to read and to order.
        if isForThisMachine, let host, !IntakeConfiguration.isLoopback(Self.name(of: host)) {
            return Problem(
                .forbidden,
                """
                without tokens this intake is for its own machine, as localhost or 127.0.0.1, and was asked for as \
                \(host); make a token (holdfast tokens create), or start it with --insecure to let anyone in
                """
            )
        }
        guard !Self.safeMethods.contains(request.method), Self.isOfAnotherSite(request, host) else { return nil }
        return Problem(
            .forbidden,
            """
            the page of another site asks for this, and without tokens an intake takes orders from programs and from its \
            own pages alone; make a token (holdfast tokens create), and send it
            """
        )
    }

    /// Whether a browser says that another site's page asks.
    ///
    /// One that knows of sites says it itself; an older one names the
    /// page's origin; what sends neither is no browser.
    private static func isOfAnotherSite(_ request: Request, _ host: String?) -> Bool {
        if let site = request.headers[fetchSite] { return site != "same-origin" && site != "none" }
        guard let origin = request.headers[.origin] else { return false }
        guard let scheme = origin.firstRange(of: "://") else { return true }
        return origin[scheme.upperBound...].lowercased() != host?.lowercased()
    }

    /// The name without the port.
    private static func name(of host: String) -> String {
        let name = host.lowercased()
        guard name.hasPrefix("[") else { return String(name.prefix { $0 != ":" }) }
        return String(name.dropFirst().prefix { $0 != "]" })
    }
}
