import Holdfast
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ClaimFloorsTests {
    private let start = ContinuousClock.now
    private let nowhere = [Int64](repeating: .min, count: 10)

    private func place(_ priority: Int, queue: String = "default", kind: String = "mail") -> ClaimFloors.Place {
        ClaimFloors.Place(queue: queue, kind: kind, priority: priority)
    }

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    /// The floors of a queue, by priority.
    private func next(_ floors: inout ClaimFloors, _ seconds: Double, _ queue: String = "default") -> [Int64] {
        let looks = floors.next([queue], kinds: ["mail"], at: at(seconds))
        #expect(looks.map(\.priority) == Array(0...9) && looks.allSatisfy { $0.queue == queue && $0.kind == "mail" })
        return looks.map(\.floor)
    }

    @Test
    func `the first claim looks from the beginning`() {
        var floors = ClaimFloors()
        #expect(next(&floors, 0) == nowhere)
    }

    @Test
    func `a floor is the lowest turn of the claims of a moment ago, for each queue and priority`() {
        var floors = ClaimFloors()
        _ = next(&floors, 0)
        floors.claimed([(place(5), 20), (place(5), 10), (place(0), 30), (place(5, queue: "reports"), 40)], at: at(0.3))
        // Not yet: one that drew a lower turn may have become visible only now.
        #expect(next(&floors, 0.35) == nowhere)
        // Twice, as the first look of a quarter of a second goes back by a second.
        _ = next(&floors, 0.6)
        var expected = nowhere
        expected[5] = 10
        expected[0] = 30
        #expect(next(&floors, 0.65) == expected)
        floors.claimed([(place(5), 50)], at: at(0.7))
        // What was claimed within the last tenth of a second is not passed: another may have been locked then.
        expected[5] = 40
        #expect(next(&floors, 0.72) == expected)
        _ = next(&floors, 0.9)
        expected[5] = 50
        #expect(next(&floors, 0.95) == expected)
        expected = nowhere
        expected[5] = 40
        #expect(next(&floors, 0.96, "reports") == expected)
    }

    @Test
    func `a claim that gets nothing leaves the floors where they are`() {
        var floors = ClaimFloors()
        _ = next(&floors, 0)
        floors.claimed([(place(9), 7)], at: at(0.1))
        floors.claimed([], at: at(0.2))
        _ = next(&floors, 0.5)
        #expect(next(&floors, 0.6)[9] == 7)
    }

    @Test
    func `each claim begins with another queue and kind`() {
        var floors = ClaimFloors()
        let firsts = (0..<8).map { _ in
            let look = floors.next(["a", "b"], kinds: ["x", "y"], at: start)[0]
            return look.queue + look.kind
        }
        #expect(Set(firsts.prefix(4)) == ["ax", "ay", "bx", "by"])
        #expect(firsts.prefix(4) == firsts.suffix(4))
    }

    @Test
    func `each quarter of a second a claim looks a second back, and every five seconds from the beginning`() {
        var floors = ClaimFloors()
        // A line each 10 ms, its turn the time in milliseconds.
        var backs: [Int64?] = []
        for step in 0...1050 {
            let seconds = Double(step) / 100
            let floor = next(&floors, seconds)[5]
            floors.claimed([(place(5), Int64(step) * 10 + 1)], at: at(seconds))
            backs.append(floor == .min ? nil : Int64(step) * 10 - floor)
        }
        func back(_ seconds: Double) -> Int64? { backs[Int(seconds * 100)] }
        #expect(back(5) == nil && back(10) == nil)
        for seconds in [3.1, 4.6, 5.1] { #expect(try! #require(back(seconds)) <= 250) }
        #expect(backs[300..<500].count { $0.map { $0 >= 900 } ?? false } == 8)
        #expect(backs[300..<500].count { $0 == nil } == 0)
    }

    @Test
    func `a look from the beginning that takes long is made less often`() {
        var floors = ClaimFloors()
        _ = next(&floors, 0)
        floors.claimed([(place(5), 1)], at: at(1))
        let isFull = [5, 49.9, 50, 50.1, 54.9, 55].map { seconds in
            let floor = next(&floors, seconds)[5]
            floors.claimed([(place(5), 1)], at: at(seconds))
            return floor == .min
        }
        #expect(isFull == [false, false, true, false, false, true])
    }
}
