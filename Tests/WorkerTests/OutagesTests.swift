import Redlock
import Testing

@testable import Worker

struct OutagesTests {
    private let start = ContinuousClock.now

    @Test func `outages of a line that follow each other make it wait 1 s doubling to 60 s, and no other line`() throws
    {
        let outages = Outages()
        let key = try LockKey("k")
        var now = start
        var delays: [Int64] = []
        for _ in 1...9 {
            let delay = outages.putOff(key, "away", 1, at: now).delay
            delays.append(delay.components.seconds)
            now = now.advanced(by: delay + .milliseconds(100))
        }
        #expect(delays == [1, 2, 4, 8, 16, 32, 60, 60, 60])
        #expect(outages.putOff(try LockKey("other"), "away", 1, at: now).delay == .seconds(1))
        #expect(outages.putOff(try LockKey("another"), "away", 0, at: now).delay == .milliseconds(500))
        outages.ended(key)
        #expect(outages.putOff(key, "away", 1, at: now).delay == .seconds(1))
    }

    @Test func `a line that had none for a minute begins anew`() throws {
        let outages = Outages()
        let key = try LockKey("k")
        for _ in 1...5 { _ = outages.putOff(key, "away", 1, at: start) }
        #expect(outages.putOff(key, "away", 1, at: start.advanced(by: .seconds(200))).delay == .seconds(1))
    }

    @Test func `each reason is told of once a minute, with how many attempts it has put off`() throws {
        let outages = Outages()
        var told: [Int?] = []
        for number in 0..<5 {
            told.append(outages.putOff(try LockKey("k\(number)"), "away", 1, at: start).told)
        }
        #expect(told == [1, nil, nil, nil, nil])
        #expect(outages.putOff(try LockKey("k"), "full", 1, at: start).told == 1)
        #expect(outages.putOff(try LockKey("k"), "away", 1, at: start.advanced(by: .seconds(60))).told == 5)
    }
}
