import Logging
import Postgres
import Synchronization

/// Says who may do what, by the tokens that the database had a moment ago.
///
/// It reads them all each second, so that no request has to ask: a token is good, or revoked, within about a second.
/// While the database is away, what it read last holds for ``staleLimit``.
final class Gate: Sendable {
    enum Verdict: Equatable {
        case admitted(Client)
        /// Admitted without a token, as whoever asks is.
        case anyone
        /// No token, or one that is not good.
        case unknown(presented: Bool)
        /// A good token, for something else.
        case forbidden
        /// Whether it is good cannot be said.
        case unavailable
    }

    /// What was read, and when.
    struct Snapshot: Sendable {
        struct Entry: Sendable {
            let hash: [UInt8]
            let scopes: Set<Token.Scope>
            let expiresAt: ContinuousClock.Instant?
        }

        let entries: [Int64: Entry]
        let hasAny: Bool
        let readAt: ContinuousClock.Instant
    }

    /// Between two looks at the database.
    static let refreshPause: Duration = .seconds(1)
    /// How long tokens are believed while the database is away.
    static let staleLimit: Duration = .seconds(300)

    /// Whether those who need no token need none because only this machine can reach the intake.
    let isForThisMachine: Bool
    private let access: IntakeConfiguration.Access
    private let store: TokenStore
    private let logger: Logger
    private let snapshot = Mutex<Snapshot?>(nil)

    init(access: IntakeConfiguration.Access, isLoopback: Bool, store: TokenStore, logger: Logger) {
        self.access = access
        isForThisMachine = access == .automatic && isLoopback
        self.store = store
        self.logger = logger
    }

    /// Reads the tokens for the first time, so that the first request finds them; if the database is away, ``run()`` does.
    func prepare() async {
        guard access != .open else { return }
        try? await refresh()  // What goes wrong, `run` meets again, and logs.
    }

    /// Keeps the tokens current until the task is cancelled.
    func run() async {
        guard access != .open else { return }
        var isAway = false
        while !Task.isCancelled {
            do {
                try await refresh()
                if isAway { logger.info("Tokens are current again") }
                isAway = false
            } catch is CancellationError {
                return
            } catch {
                if !isAway, !Task.isCancelled {
                    logger.warning("Tokens not read; those known are believed", metadata: ["error": "\(error)"])
                }
                isAway = true
            }
            try? await Task.sleep(for: Self.refreshPause)  // Cancelled: the loop ends.
        }
    }

    private func refresh() async throws {
        let now = ContinuousClock.now
        let (known, hasAny) = try await store.known()
        let entries = known.map { token in
            (token.id, Snapshot.Entry(hash: token.hash, scopes: token.scopes, expiresAt: token.left.map { now + $0 }))
        }
        replace(Snapshot(entries: Dictionary(uniqueKeysWithValues: entries), hasAny: hasAny, readAt: now))
    }

    /// Believes these from now on.
    func replace(_ new: Snapshot) { snapshot.withLock { $0 = new } }

    /// Judges a request.
    ///
    /// - Parameters:
    ///   - authorization: The header's value.
    ///   - scope: What is to be done.
    ///   - now: On the monotonic clock.
    /// - Returns: Whether it may be served, and if not, why.
    func judge(_ authorization: String?, for scope: Token.Scope, now: ContinuousClock.Instant = .now) -> Verdict {
        guard access != .open else { return .anyone }
        guard let snapshot = snapshot.withLock({ $0 }), now - snapshot.readAt < Self.staleLimit else {
            return .unavailable
        }
        if isForThisMachine, !snapshot.hasAny { return .anyone }
        guard let authorization else { return .unknown(presented: false) }
        guard let token = Self.bearer(authorization), let entry = snapshot.entries[token.id], token.matches(entry.hash),
            entry.expiresAt.map({ now < $0 }) ?? true
        else { return .unknown(presented: true) }
        return entry.scopes.contains(scope) ? .admitted(Client(token: token.id)) : .forbidden
    }

    /// Whether a client that was admitted for something would still be.
    func admits(_ client: Client, for scope: Token.Scope, now: ContinuousClock.Instant = .now) -> Bool {
        guard access != .open else { return true }
        guard let snapshot = snapshot.withLock({ $0 }), now - snapshot.readAt < Self.staleLimit else { return false }
        guard let token = client.token else { return isForThisMachine && !snapshot.hasAny }
        guard let entry = snapshot.entries[token], entry.scopes.contains(scope) else { return false }
        return entry.expiresAt.map { now < $0 } ?? true
    }

    /// - Source: RFC 6750, section 2.1.
    private static func bearer(_ authorization: String) -> Token? {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return Token(parts[1])
    }
}
