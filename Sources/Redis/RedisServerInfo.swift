/// What a node said of itself when the connection was made: parts of `INFO` and of its configuration.
package struct RedisServerInfo: Sendable, Hashable {
    /// What the node makes of its configuration, as `CONFIG GET` shows it.
    package struct Persistence: Sendable, Hashable {
        /// `appendonly`: whether it keeps a log of all writes.
        package var isLogged: Bool
        /// `appendfsync`: when the log is on disk.
        package var sync: String
        /// `no-appendfsync-on-rewrite`: whether that waits while the log is rewritten.
        package var skipsSyncOnRewrite: Bool

        /// Makes it from its parts.
        package init(isLogged: Bool, sync: String, skipsSyncOnRewrite: Bool = false) {
            self.isLogged = isLogged
            self.sync = sync
            self.skipsSyncOnRewrite = skipsSyncOnRewrite
        }

        /// Reads the answer to `CONFIG GET *append*`; `nil` when it may not be asked.
        init?(_ reply: RedisReply) {
            let settings: [(name: String?, value: String?)]
            switch reply {
            case .map(let pairs): settings = pairs.map { ($0.key.string, $0.value.string) }
            case .array(let texts):
                settings = stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0].string, texts[$0 + 1].string) }
            default: return nil
            }
            func value(_ name: String) -> String { settings.first { $0.name == name }?.value ?? "" }
            guard !value("appendonly").isEmpty else { return nil }
            self.init(
                isLogged: value("appendonly") == "yes",
                sync: value("appendfsync"),
                skipsSyncOnRewrite: value("no-appendfsync-on-rewrite") == "yes"
            )
        }
    }

    /// A random value that each start of the server draws anew.
    package var runID: String
    /// How long the server had run at ``readAt``; whole seconds, rounded down.
    package var uptime: Duration
    /// The server's version, as in `7.0.15`.
    package var version: String
    /// When the answer came, on this machine's monotonic clock.
    package var readAt: ContinuousClock.Instant
    /// `standalone`, `cluster` or `sentinel`.
    package var mode = "standalone"
    /// `master` or `slave`.
    package var role = "master"
    /// The most bytes that it stores; 0 for any number.
    package var maximumMemory = 0
    /// What it does when it is full: `noeviction`, or the policy by which it removes keys.
    package var evictionPolicy = "noeviction"
    /// `nil` when it may not be asked (an ACL, or a hosted service, without `CONFIG`).
    package var persistence: Persistence?
    /// What is stored under the configured identity key, and stays there while the node keeps its data.
    ///
    /// A random text, a dot, and the run in which it was stored; `nil` when the user may not read it.
    package var identity: String?
    /// Whether it knows the configured scripts by their hashes.
    package var knowsScripts = false

    /// Whether a restart loses no write that was answered.
    package var persistsEveryWrite: Bool {
        guard let persistence else { return false }
        return persistence.isLogged && persistence.sync == "always" && !persistence.skipsSyncOnRewrite
    }

    /// Whether what it stores has begun in this run of the server: it is new, or has forgotten all that it had.
    package var isNew: Bool { identity?.hasSuffix("." + runID) ?? false }

    /// Makes it from its parts.
    package init(
        runID: String,
        uptime: Duration,
        version: String,
        readAt: ContinuousClock.Instant,
        persistsEveryWrite: Bool = false
    ) {
        self.runID = runID
        self.uptime = uptime
        self.version = version
        self.readAt = readAt
        persistence = Persistence(isLogged: persistsEveryWrite, sync: "always")
    }

    /// Reads the answer to `INFO`; `nil` without run id or uptime, since a restart cannot be seen then.
    ///
    /// - Parameters:
    ///   - text: Lines of `name:value`.
    ///   - now: When the answer came.
    package init?(_ text: String, readAt now: ContinuousClock.Instant) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        let seconds = fields["uptime_in_seconds"].flatMap { Int($0) }
        guard let runID = fields["run_id"], !runID.isEmpty, let seconds else { return nil }
        self.init(
            runID: String(runID),
            uptime: .seconds(seconds),
            version: fields["redis_version"].map(String.init) ?? "",
            readAt: now
        )
        persistence = nil
        mode = fields["redis_mode"].map(String.init) ?? mode
        role = fields["role"].map(String.init) ?? role
        maximumMemory = fields["maxmemory"].flatMap { Int($0) } ?? 0
        evictionPolicy = fields["maxmemory_policy"].map(String.init) ?? evictionPolicy
    }
}
