/// What is said before a connection serves: HELLO, or AUTH where HELLO is unknown; SELECT; CLIENT SETNAME; INFO; CONFIG GET; SET and GET of
/// the identity; SCRIPT LOAD.
package struct Handshake: ~Copyable {
    /// What to do next.
    package enum Action: Sendable {
        /// Send it, and hand in the reply.
        case send(RedisCommand)
        /// The connection is ready.
        case ready(RedisServerInfo?)
        /// The connection cannot be used.
        case fail(RedisError)
    }

    private enum Step {
        case hello, authenticate, select, setName, info, configuration, identify, identity, script(Int)
    }

    private let endpoint: RedisEndpoint
    private let clientName: String
    private let scripts: [RedisScript]
    private let identityKey: String?
    private var step = Step.hello
    private var info: RedisServerInfo?

    /// Makes the handshake of a new connection.
    package init(
        endpoint: RedisEndpoint,
        clientName: String,
        scripts: [RedisScript] = [],
        identityKey: String? = nil
    ) {
        self.endpoint = endpoint
        self.clientName = clientName
        self.scripts = scripts
        self.identityKey = identityKey
    }

    /// Says what goes first.
    package mutating func start() -> Action {
        guard let password = endpoint.password else { return .send(RedisCommand("HELLO", 3)) }
        return .send(RedisCommand("HELLO", 3, "AUTH", endpoint.user ?? "default", password))
    }

    /// Says what follows a reply.
    ///
    /// - Parameters:
    ///   - reply: The reply to the last command.
    ///   - now: When it came; kept with what the node says of itself.
    /// - Returns: The next action.
    package mutating func received(_ reply: RedisReply, at now: ContinuousClock.Instant) -> Action {
        switch (step, reply.error) {
        case (.hello, nil), (.authenticate, nil): select()
        // Unknown to servers before 6, and forbidden by some ACLs: the connection stays with RESP2.
        case (.hello, let error?) where ["ERR", "NOPROTO", "NOPERM"].contains(error.code): authenticate()
        case (.hello, let error?), (.authenticate, let error?): .fail(refusal(error))
        case (.select, nil): setName()
        case (.select, let error?): .fail(failure(.reply, "SELECT \(endpoint.database): \(error)"))
        // The name is for those who look at the node; an ACL may forbid it.
        case (.setName, _): askInfo()
        case (.info, _): configuration(reply.string.flatMap { RedisServerInfo($0, readAt: now) })
        case (.configuration, _): identify(RedisServerInfo.Persistence(reply))
        // It was there, or is now; a node that refuses it, as a replica does, may have it all the same.
        case (.identify, _): identity()
        // What it has is not known before it has loaded it.
        case (.identity, let error?) where error.code == "LOADING": .fail(failure(.reply, error.message))
        case (.identity, _): identified(reply.string)
        case (.script(let index), nil): script(index + 1)
        // An ACL may forbid it: scripts are sent by their source then.
        case (.script, _): .ready(info)
        }
    }

    private mutating func authenticate() -> Action {
        guard let password = endpoint.password else { return select() }
        step = .authenticate
        guard let user = endpoint.user else { return .send(RedisCommand("AUTH", password)) }
        return .send(RedisCommand("AUTH", user, password))
    }

    private mutating func select() -> Action {
        guard endpoint.database != 0 else { return setName() }
        step = .select
        return .send(RedisCommand("SELECT", endpoint.database))
    }

    private mutating func setName() -> Action {
        step = .setName
        return .send(RedisCommand("CLIENT", "SETNAME", clientName))
    }

    private mutating func askInfo() -> Action {
        step = .info
        return .send(RedisCommand("INFO"))
    }

    private mutating func configuration(_ info: RedisServerInfo?) -> Action {
        // Of no use without a run id, which tells one start from another.
        guard let info else { return .ready(nil) }
        self.info = info
        step = .configuration
        return .send(RedisCommand("CONFIG", "GET", "*append*"))
    }

    private mutating func identify(_ persistence: RedisServerInfo.Persistence?) -> Action {
        info?.persistence = persistence
        guard let identityKey, let info else { return script(0) }
        step = .identify
        let digits =
            String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
        return .send(RedisCommand("SET", identityKey, "\(digits).\(info.runID)", "NX"))
    }

    private mutating func identity() -> Action {
        guard let identityKey else { return script(0) }
        step = .identity
        return .send(RedisCommand("GET", identityKey))
    }

    private mutating func identified(_ identity: String?) -> Action {
        info?.identity = identity
        return script(0)
    }

    private mutating func script(_ index: Int) -> Action {
        guard index < scripts.count else {
            info?.knowsScripts = true
            return .ready(info)
        }
        step = .script(index)
        return .send(RedisCommand("SCRIPT", "LOAD", scripts[index].source))
    }

    private func refusal(_ error: RedisReplyError) -> RedisError {
        switch error.code {
        case "NOAUTH": failure(.authenticationFailed, "it wants a password, and its URL has none")
        case "WRONGPASS": failure(.authenticationFailed, "wrong user or password")
        case "NOPERM": failure(.authenticationFailed, "the user may not connect")
        // Its text stays out: servers quote the arguments of what they refuse, and the password is one.
        case "ERR" where endpoint.password != nil: failure(.authenticationFailed, "AUTH was answered with ERR")
        case let code where endpoint.password != nil: failure(.reply, code.isEmpty ? "HELLO was refused" : code)
        default: failure(.reply, error.message)
        }
    }

    private func failure(_ code: RedisError.Code, _ message: String) -> RedisError {
        RedisError(code, endpoint: endpoint.description, message: message)
    }
}
