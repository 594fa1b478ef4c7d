import Redlock
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ValidityTests {
    @Test(arguments: [
        (elapsed: Duration.milliseconds(0), left: Duration.milliseconds(19_798) as Duration?),
        (elapsed: .milliseconds(30), left: .milliseconds(19_768)),
        (elapsed: .milliseconds(19_797), left: .milliseconds(1)),
        (elapsed: .milliseconds(19_798), left: nil),
        (elapsed: .milliseconds(20_000), left: nil),
        (elapsed: .seconds(60), left: nil),
    ])
    func `validity is what time and drift leave of the TTL`(elapsed: Duration, left: Duration?) {
        #expect(Redlock.validity(ttl: .seconds(20), elapsed: elapsed) == left)
    }

    @Test(arguments: [
        (ttl: Duration.seconds(1), driftFactor: 0.0, left: Duration.milliseconds(898) as Duration?),
        (ttl: .seconds(1), driftFactor: 0.5, left: .milliseconds(398)),
        (ttl: .seconds(1), driftFactor: 1.0, left: nil),
        (ttl: .milliseconds(102), driftFactor: 0.0, left: nil),
    ])
    func `the drift is a part of the TTL and two milliseconds`(ttl: Duration, driftFactor: Double, left: Duration?) {
        #expect(Redlock.validity(ttl: ttl, elapsed: .milliseconds(100), driftFactor: driftFactor) == left)
    }
}
