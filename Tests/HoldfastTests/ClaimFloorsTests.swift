import Holdfast
import Postgres
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ClaimFloorsTests {
    private let start = ContinuousClock.now
    private let ready = PostgresTimestamp(microseconds: 1_800_000_000_000_000)
    private let nowhere = [PostgresTimestamp](repeating: .negativeInfinity, count: 10)

    @Test
    func `the first claim looks from the beginning`() {
        var floors = ClaimFloors()
        #expect(floors.next(at: start) == nowhere)
    }

    @Test
    func `a floor is a second before the oldest line of the last claim, for each priority`() {
        var floors = ClaimFloors()
        _ = floors.next(at: start)
        floors.claimed([
            (priority: 5, readyAt: ready.advanced(by: .seconds(20))),
            (priority: 5, readyAt: ready.advanced(by: .seconds(10))),
            (priority: 0, readyAt: ready),
        ])
        var expected = nowhere
        expected[5] = ready.advanced(by: .seconds(9))
        expected[0] = ready.advanced(by: .seconds(-1))
        #expect(floors.next(at: start) == expected)

        floors.claimed([(priority: 5, readyAt: ready.advanced(by: .seconds(30)))])
        expected[5] = ready.advanced(by: .seconds(29))
        #expect(floors.next(at: start) == expected)
    }

    @Test
    func `a claim that gets nothing leaves the floors where they are`() {
        var floors = ClaimFloors()
        _ = floors.next(at: start)
        floors.claimed([(priority: 9, readyAt: ready)])
        floors.claimed([])
        #expect(floors.next(at: start)[9] == ready.advanced(by: .seconds(-1)))
    }

    @Test
    func `every five seconds one claim looks from the beginning`() {
        var floors = ClaimFloors()
        _ = floors.next(at: start)
        floors.claimed([(priority: 5, readyAt: ready)])
        let isFull = [4.999, 5, 5.001, 9.999, 10, 10.001].map { seconds in
            floors.next(at: start.advanced(by: .seconds(1) * seconds)) == nowhere
        }
        #expect(isFull == [false, true, false, false, true, false])
    }
}
