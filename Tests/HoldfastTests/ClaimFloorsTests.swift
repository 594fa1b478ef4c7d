import Holdfast
import Postgres
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ClaimFloorsTests {
    private let start = ContinuousClock.now
    private let ready = PostgresTimestamp(microseconds: 1_800_000_000_000_000)
    private let nowhere = [PostgresTimestamp](repeating: .negativeInfinity, count: 10)

    /// The floors of a queue, by priority.
    private func next(_ floors: inout ClaimFloors, _ queue: String = "default") -> [PostgresTimestamp] {
        let looks = floors.next([queue], at: start)
        #expect(looks.map(\.priority) == Array(0...9) && looks.allSatisfy { $0.queue == queue })
        return looks.map(\.floor)
    }

    @Test
    func `the first claim looks from the beginning`() {
        var floors = ClaimFloors()
        #expect(next(&floors) == nowhere)
    }

    @Test
    func `a floor is a little before the oldest line of the last claim, for each queue and priority`() {
        var floors = ClaimFloors()
        _ = next(&floors)
        floors.claimed(
            [
                (queue: "default", priority: 5, readyAt: ready.advanced(by: .seconds(20))),
                (queue: "default", priority: 5, readyAt: ready.advanced(by: .seconds(10))),
                (queue: "default", priority: 0, readyAt: ready),
                (queue: "reports", priority: 5, readyAt: ready.advanced(by: .seconds(5))),
            ],
            at: start
        )
        var expected = nowhere
        expected[5] = ready.advanced(by: .milliseconds(9900))
        expected[0] = ready.advanced(by: .milliseconds(-100))
        #expect(next(&floors) == expected)

        floors.claimed([(queue: "default", priority: 5, readyAt: ready.advanced(by: .seconds(30)))], at: start)
        expected[5] = ready.advanced(by: .milliseconds(29_900))
        #expect(next(&floors) == expected)
        expected = nowhere
        expected[5] = ready.advanced(by: .milliseconds(4900))
        #expect(next(&floors, "reports") == expected)
    }

    @Test
    func `a claim that gets nothing leaves the floors where they are`() {
        var floors = ClaimFloors()
        _ = next(&floors)
        floors.claimed([(queue: "default", priority: 9, readyAt: ready)], at: start)
        floors.claimed([], at: start)
        #expect(next(&floors)[9] == ready.advanced(by: .milliseconds(-100)))
    }

    @Test
    func `each claim begins with another queue`() {
        var floors = ClaimFloors()
        let firsts = (0..<6).map { _ in floors.next(["a", "b", "c"], at: start)[0].queue }
        #expect(Set(firsts.prefix(3)) == ["a", "b", "c"])
        #expect(firsts.prefix(3) == firsts.suffix(3))
    }

    /// How far back claims at so many seconds look; `nil` for all the way.
    private func looks(_ floors: inout ClaimFloors, at seconds: [Double]) -> [Duration?] {
        seconds.map { second in
            let now = start.advanced(by: .seconds(second))
            let floor = floors.next(["default"], at: now)[5].floor
            floors.claimed([(queue: "default", priority: 5, readyAt: ready)], at: now)
            return floor == .negativeInfinity ? nil : .microseconds(ready.microseconds - floor.microseconds)
        }
    }

    @Test
    func `each quarter of a second a claim looks a second back, and every five seconds from the beginning`() {
        var floors = ClaimFloors()
        let looks = looks(&floors, at: [0, 0.1, 0.25, 0.3, 0.49, 0.5, 4.999, 5, 5.1, 9.999, 10, 10.001])
        let (some, second) = (Duration.milliseconds(100), Duration.seconds(1))
        #expect(looks == [nil, some, second, some, some, second, second, nil, some, second, nil, some])
    }

    @Test
    func `a look from the beginning that takes long is made less often`() {
        var floors = ClaimFloors()
        _ = next(&floors)
        floors.claimed([(queue: "default", priority: 5, readyAt: ready)], at: start.advanced(by: .seconds(1)))
        let looks = looks(&floors, at: [5, 49.9, 50, 50.1, 54.9, 55])
        #expect(looks.map { $0 == nil } == [false, false, true, false, false, true])
    }
}
