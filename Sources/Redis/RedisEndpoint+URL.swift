extension RedisEndpoint {
    /// Reads a URL.
    ///
    /// - `redis://[user[:password]@]host[:port][/database]`; `redis://:password@host` leaves out the user.
    /// - `rediss://…` is the same over TLS, with the options `?cafile=`, `?cert=`, `?key=` (PEM files) and `?verify=none`.
    /// - `unix:///path` and `redis+unix://[user[:password]@]/path[?db=1]` are sockets in the file system.
    ///
    /// User, password, path and options are percent-decoded; IPv6 addresses stand in brackets.
    /// - Parameter url: The URL.
    /// - Throws: ``RedisError`` with code `badEndpoint`, whose message names the wrong part and shows no credentials.
    package init(_ url: String) throws(RedisError) {
        guard let (scheme, rest) = url.cut(at: "://") else { throw Self.bad("it has no scheme such as redis://") }
        // The credentials end at the last "@" before the path, so that a password with a bare "@" still works.
        let authorityEnd = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let (credentials, host) = rest[..<authorityEnd].cutAtLast("@")
        var tail = rest[authorityEnd...]
        guard !tail.contains("#") else { throw Self.bad("it has a fragment (write # in a password as %23)") }
        var options: [String: String] = [:]
        if let (path, query) = tail.cut(at: "?") {
            tail = path
            options = try Self.options(query)
        }
        switch scheme.lowercased() {
        case "redis":
            self.init(try Self.tcpAddress(host), database: try Self.database(tail.dropFirst()))
        case "rediss":
            self.init(try Self.tcpAddress(host), database: try Self.database(tail.dropFirst()), tls: TLS())
            try takeTLSOptions(&options)
        case "unix", "redis+unix":
            let path = try Self.decoded(tail, "path")
            guard host.isEmpty else { throw Self.bad("a socket's URL has three slashes, as in unix:///run/redis.sock") }
            guard path.count > 1 else { throw Self.bad("it names no socket") }
            guard path.utf8.count < 108 else { throw Self.bad("the socket's path is longer than 107 bytes") }
            self.init(.unixSocket(path: path), database: try Self.database(options.removeValue(forKey: "db") ?? ""))
        default:
            throw Self.bad("the scheme is none of redis, rediss, unix and redis+unix")
        }
        if let unknown = options.keys.min() { throw Self.bad("the option \"\(unknown)\" is unknown here") }
        try takeCredentials(credentials)
    }

    private mutating func takeCredentials(_ credentials: Substring?) throws(RedisError) {
        guard let credentials else { return }
        let (name, secret) = credentials.cut(at: ":") ?? (credentials, "")
        let user = try Self.decoded(name, "user")
        let password = try Self.decoded(secret, "password")
        guard user.isEmpty || !password.isEmpty else {
            throw Self.bad("it has a user and no password (a password alone is written :password@)")
        }
        self.user = user.isEmpty ? nil : user
        self.password = password.isEmpty ? nil : password
    }

    private mutating func takeTLSOptions(_ options: inout [String: String]) throws(RedisError) {
        tls?.authoritiesFile = options.removeValue(forKey: "cafile")
        tls?.certificateFile = options.removeValue(forKey: "cert")
        tls?.keyFile = options.removeValue(forKey: "key")
        guard (tls?.certificateFile == nil) == (tls?.keyFile == nil) else {
            throw Self.bad("the options cert and key go together")
        }
        switch options.removeValue(forKey: "verify") {
        case nil, "full": break
        case "none": tls?.verifiesNode = false
        default: throw Self.bad("the option verify is neither full nor none")
        }
    }

    private static func tcpAddress(_ text: Substring) throws(RedisError) -> Address {
        var host = text
        var port: Substring?
        if text.first == "[" {
            guard let (inside, after) = text.dropFirst().cut(at: "]") else { throw bad("a bracket is not closed") }
            guard after.isEmpty || after.first == ":" else { throw bad("what follows the \"]\" is no port") }
            host = inside
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let (name, number) = text.cut(at: ":") {
            guard !number.contains(":") else { throw bad("an IPv6 address stands in brackets, as in [::1]:6379") }
            host = name
            port = number
        }
        guard !host.isEmpty else { throw bad("it names no host") }
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "%") }) else {
            throw bad("the host has a character that no host has")
        }
        guard let port else { return .tcp(host: String(host), port: defaultPort) }
        guard port.isDecimal, let number = UInt16(port), number > 0 else { throw bad("the port is not within 1…65535") }
        return .tcp(host: String(host), port: Int(number))
    }

    private static func database(_ text: some StringProtocol) throws(RedisError) -> Int {
        guard !text.isEmpty else { return 0 }
        guard text.isDecimal, let number = Int32(text) else { throw bad("the database is not a number") }
        return Int(number)
    }

    private static func options(_ query: Substring) throws(RedisError) -> [String: String] {
        var options: [String: String] = [:]
        for option in query.split(separator: "&") {
            guard let (name, value) = option.cut(at: "=") else { throw bad("an option has no \"=\"") }
            options[String(name)] = try decoded(value, "option \(name)")
        }
        return options
    }

    private static func decoded(_ text: Substring, _ part: String) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            guard digits.count == 2 else {
                throw bad("the \(part) has a \"%\" without two hex digits (write % as %25)")
            }
            bytes.append(UInt8(digits[0] * 16 + digits[1]))
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw bad("the \(part) is not UTF-8 text")
        }
        return decoded
    }

    private static func bad(_ message: String) -> RedisError {
        RedisError(.badEndpoint, endpoint: "(unknown)", message: message)
    }
}

extension StringProtocol where SubSequence == Substring {
    /// What stands before and after the first `separator`; `nil` when there is none.
    fileprivate func cut(at separator: String) -> (Substring, Substring)? {
        guard let range = firstRange(of: separator) else { return nil }
        return (self[..<range.lowerBound], self[range.upperBound...])
    }

    /// What stands before the last `separator`, `nil` when there is none, and what follows it.
    fileprivate func cutAtLast(_ separator: Character) -> (Substring?, Substring) {
        guard let index = lastIndex(of: separator) else { return (nil, self[...]) }
        return (self[..<index], self[self.index(after: index)...])
    }
}

extension StringProtocol {
    /// Whether all of it is ASCII digits: `Int` would take a sign, too.
    fileprivate var isDecimal: Bool { !isEmpty && utf8.allSatisfy { (0x30...0x39).contains($0) } }
}
