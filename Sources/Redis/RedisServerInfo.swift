/// What a node said of itself when the connection was made: parts of `INFO server` and of its configuration.
package struct RedisServerInfo: Sendable, Hashable {
    /// A random value that each start of the server draws anew.
    package var runID: String
    /// How long the server had run at ``readAt``; whole seconds, rounded down.
    package var uptime: Duration
    /// The server's version, as in `7.0.15`.
    package var version: String
    /// When the answer came, on this machine's monotonic clock.
    package var readAt: ContinuousClock.Instant
    /// Whether a restart loses no write that was answered: `appendonly yes` and `appendfsync always`.
    ///
    /// False when it may not be asked (an ACL, or a hosted service, without `CONFIG`).
    package var persistsEveryWrite: Bool
    /// Whether it knows the configured scripts by their hashes.
    package var knowsScripts = false

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
        self.persistsEveryWrite = persistsEveryWrite
    }

    /// Reads the answer to `INFO server`; `nil` without run id or uptime, since a restart cannot be seen then.
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
    }

    /// Whether the answer to `CONFIG GET append*` says that every write is on disk before it is answered.
    static func persistsEveryWrite(_ reply: RedisReply) -> Bool {
        let settings: [(name: String?, value: String?)]
        switch reply {
        case .map(let pairs): settings = pairs.map { ($0.key.string, $0.value.string) }
        case .array(let texts):
            settings = stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0].string, texts[$0 + 1].string) }
        default: return false
        }
        return settings.contains { $0 == ("appendonly", "yes") }
            && settings.contains { $0 == ("appendfsync", "always") }
    }
}
