package import Redis

/// Whether a node may have forgotten locks that somebody still relies on.
///
/// A node that was restarted without its data grants a lock that another holds. So it has no vote until the longest
/// time to live in use has passed, unless it persists every write.
/// - Source: S. Sanfilippo, "Distributed Locks with Redis", section "Performance, crash recovery and fsync"
package struct Quarantine: Sendable {
    private let term: Duration
    private var lastRun: RedisServerInfo?
    private var lostAt: ContinuousClock.Instant?
    private var until: ContinuousClock.Instant?

    /// - Parameters:
    ///   - longestTTL: The longest time to live that any client of the node uses.
    ///   - driftFactor: What clocks may differ by, as a part of it.
    package init(longestTTL: Duration, driftFactor: Double) {
        term = longestTTL + longestTTL * driftFactor + .milliseconds(2)
    }

    /// How long the node has no vote, from `now` on; `nil` when it may vote.
    package func left(at now: ContinuousClock.Instant) -> Duration? {
        guard let until, now < until else { return nil }
        return now.duration(to: until)
    }

    /// Notes that the connection was lost.
    package mutating func lost(at now: ContinuousClock.Instant) { lostAt = now }

    /// Notes that there is a connection, before anything is asked on it.
    ///
    /// - Parameters:
    ///   - info: What the node said of itself; `nil` when it may not be asked, so that each connection may be a restart.
    ///   - now: When the connection was ready.
    package mutating func connected(_ info: RedisServerInfo?, at now: ContinuousClock.Instant) {
        guard let info else {
            until = now.advanced(by: term)
            return
        }
        defer { lastRun = info }
        guard info.runID != lastRun?.runID || hasOtherData(info) else { return }
        // The latest moment that the node's word allows: it takes the difference of two rounded times.
        let start = info.readAt.advanced(by: .seconds(1) - info.uptime)
        guard !isSameData(info, startedAt: start) else { return }
        // The start of a node that was never seen before is only known by its own word.
        let end = (lastRun == nil ? start : now).advanced(by: term)
        until = max(until ?? end, end)
    }

    /// Whether what it stores is not what it stored before: somebody has emptied it, or its disk.
    private func hasOtherData(_ info: RedisServerInfo) -> Bool {
        guard let before = lastRun?.identity else { return false }
        return info.identity != before
    }

    /// Whether it is the node as it was before, with every write that it has answered.
    private func isSameData(_ info: RedisServerInfo, startedAt start: ContinuousClock.Instant) -> Bool {
        guard info.persistsEveryWrite, !info.isNew, !hasOtherData(info) else { return false }
        guard let lastRun else { return true }
        // One that was up before the other was lost is another node in its place: a replica, which writes come to late.
        guard let lostAt, start >= lostAt else { return false }
        return lastRun.persistsEveryWrite
    }
}
