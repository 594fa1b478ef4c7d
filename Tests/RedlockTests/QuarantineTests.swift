import Redis
import Redlock
import Testing

/// When a node has no vote because it may have forgotten locks.
struct QuarantineTests {
    private let start = ContinuousClock.now
    /// What a quarantine of 60 s lasts with drift.
    private let term = Duration.milliseconds(60_602)
    private var quarantine = Quarantine(longestTTL: .seconds(60), driftFactor: 0.01)

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    private func info(_ run: String, upFor uptime: Int, at seconds: Double, persists: Bool = false) -> RedisServerInfo {
        RedisServerInfo(
            runID: run,
            uptime: .seconds(uptime),
            version: "7.0.15",
            readAt: at(seconds),
            persistsEveryWrite: persists
        )
    }

    @Test(arguments: [
        (uptime: 0, left: Duration.milliseconds(61_602) as Duration?), (uptime: 60, left: .milliseconds(1602)),
        (uptime: 61, left: .milliseconds(602)), (uptime: 62, left: nil), (uptime: 100_000, left: nil),
    ])
    func `a node that is seen for the first time votes once it is up for the longest TTL`(
        uptime: Int,
        left: Duration?
    ) {
        var quarantine = quarantine
        quarantine.connected(info("a", upFor: uptime, at: 0), at: start)
        #expect(quarantine.left(at: start) == left)
    }

    @Test
    func `a node that was restarted has no vote for the longest TTL from then on`() {
        var quarantine = quarantine
        quarantine.connected(info("a", upFor: 1000, at: 0), at: start)
        #expect(quarantine.left(at: start) == nil)
        quarantine.lost(at: at(10))
        // Its own word on how long it is up is not relied on.
        quarantine.connected(info("b", upFor: 5000, at: 12), at: at(12))
        #expect(quarantine.left(at: at(12)) == term)
        #expect(quarantine.left(at: at(72)) == .milliseconds(602))
        #expect(quarantine.left(at: at(73)) == nil)
    }

    @Test
    func `a connection that was lost and made again to the same run changes nothing`() {
        var quarantine = quarantine
        quarantine.connected(info("a", upFor: 1000, at: 0), at: start)
        quarantine.lost(at: at(10))
        quarantine.connected(info("a", upFor: 1011, at: 11), at: at(11))
        #expect(quarantine.left(at: at(11)) == nil)
        quarantine.lost(at: at(12))
        quarantine.connected(info("b", upFor: 0, at: 13), at: at(13))
        quarantine.lost(at: at(14))
        quarantine.connected(info("b", upFor: 2, at: 15), at: at(15))
        #expect(quarantine.left(at: at(15)) == term - .seconds(2))
    }

    @Test(arguments: [
        (before: true, after: true, uptime: 1, votes: true),
        (before: false, after: true, uptime: 1, votes: false),
        (before: true, after: false, uptime: 1, votes: false),
        // It was up before the other was lost: a replica in its place.
        (before: true, after: true, uptime: 500, votes: false),
    ])
    func `a restarted node votes at once when it has persisted every write, and is the same node`(
        before: Bool,
        after: Bool,
        uptime: Int,
        votes: Bool
    ) {
        var quarantine = quarantine
        quarantine.connected(info("a", upFor: 1000, at: 0, persists: before), at: start)
        quarantine.lost(at: at(10))
        quarantine.connected(info("b", upFor: uptime, at: 12, persists: after), at: at(12))
        #expect((quarantine.left(at: at(12)) == nil) == votes)
    }

    @Test
    func `a node that persists every write votes from the first`() {
        var quarantine = quarantine
        quarantine.connected(info("a", upFor: 0, at: 0, persists: true), at: start)
        #expect(quarantine.left(at: start) == nil)
    }

    @Test
    func `a node whose data have begun in this run has no vote for the longest TTL from its start`() {
        var quarantine = quarantine
        var info = info("a", upFor: 0, at: 0, persists: true)
        info.identity = "x.a"
        quarantine.connected(info, at: start)
        #expect(quarantine.left(at: start) == term + .seconds(1))
        quarantine.lost(at: at(100))
        // Restarted with what it has stored since.
        info = self.info("b", upFor: 1, at: 102, persists: true)
        info.identity = "x.a"
        quarantine.connected(info, at: at(102))
        #expect(quarantine.left(at: at(102)) == nil)
    }

    @Test(arguments: ["y.b", "y.z", nil])
    func `a node that persists every write and has another identity, or none, has forgotten all`(identity: String?) {
        var quarantine = quarantine
        var info = info("a", upFor: 1000, at: 0, persists: true)
        info.identity = "x.z"
        quarantine.connected(info, at: start)
        #expect(quarantine.left(at: start) == nil)
        quarantine.lost(at: at(10))
        info = self.info("b", upFor: 1, at: 12, persists: true)
        info.identity = identity
        quarantine.connected(info, at: at(12))
        #expect(quarantine.left(at: at(12)) == term)
    }

    @Test
    func `a node that was emptied while it ran has no vote from its next connection on`() {
        var quarantine = quarantine
        var info = info("a", upFor: 1000, at: 0, persists: true)
        info.identity = "x.z"
        quarantine.connected(info, at: start)
        info.identity = "y.a"
        quarantine.connected(info, at: at(5))
        #expect(quarantine.left(at: at(5)) == term)
    }

    @Test
    func `a node that may not be asked has no vote after each connection`() {
        var quarantine = quarantine
        quarantine.connected(nil, at: start)
        #expect(quarantine.left(at: start) == term)
        quarantine.connected(nil, at: at(50))
        #expect(quarantine.left(at: at(50)) == term)
    }
}
