import Holdfast
import Testing
import Worker

struct BeatWatchTests {
    private static let start = ContinuousClock.now
    private static let other = WorkerID(7)

    /// A heartbeat of the watching worker, in milliseconds of its clock, and what it showed.
    private struct Look: Sendable {
        let sent: Int64
        let answered: Int64
        let beats: [WorkerID: Int64]

        init(_ sent: Int64, _ beat: Int64?, takes: Int64 = 0) {
            self.sent = sent
            answered = sent + takes
            beats = beat.map { [other: $0] } ?? [:]
        }
    }

    /// Whether the other worker is dead, by each look.
    private func deaths(_ looks: [Look]) -> [Bool] {
        var watch = BeatWatch()
        return looks.map { look in
            let dead = watch.saw(
                look.beats,
                from: Self.start.advanced(by: .milliseconds(look.sent)),
                to: Self.start.advanced(by: .milliseconds(look.answered))
            )
            #expect(dead.allSatisfy { $0.key == Self.other && look.beats[$0.key] == $0.value })
            return !dead.isEmpty
        }
    }

    @Test
    func `a beat that has stood still for 5 s is death, and not a moment before`() {
        let looks = [Look(0, 1), Look(2000, 1), Look(4000, 1), Look(4999, 1), Look(5000, 1), Look(6000, 1)]
        #expect(deaths(looks) == [false, false, false, false, true, true])
    }

    @Test
    func `a beat has stood still from the answer that showed it until the next question`() {
        let looks = [
            Look(0, 1, takes: 1000), Look(2000, 1, takes: 1000), Look(4000, 1, takes: 1000), Look(5999, 1, takes: 1000),
            Look(7000, 1),
        ]
        #expect(deaths(looks) == [false, false, false, false, true])
    }

    @Test
    func `after a gap of more than 3 s in its own heartbeats a worker watches from the beginning`() {
        let looks = [
            Look(0, 1), Look(3001, 1), Look(5000, 1), Look(7000, 1), Look(8000, 1), Look(8001, 1), Look(11_002, 1),
            Look(14_002, 1), Look(16_002, 1),
        ]
        #expect(deaths(looks) == [false, false, false, false, false, true, false, false, true])
    }

    @Test
    func `a heartbeat that was answered late is a gap`() {
        let looks = [
            Look(0, 1), Look(2000, 1), Look(4000, 1, takes: 1001), Look(5500, 1), Look(8000, 1), Look(10_001, 1),
        ]
        #expect(deaths(looks) == [false, false, false, false, false, true])
    }

    @Test
    func `a gap of 3 s is none`() {
        #expect(deaths([Look(0, 1), Look(3000, 1), Look(6000, 1)]) == [false, false, true])
    }

    @Test
    func `a beat that moves begins anew`() {
        let looks = [
            Look(0, 1), Look(2000, 1), Look(4000, 2), Look(6000, 2), Look(8000, 2), Look(8999, 2), Look(9000, 2),
        ]
        #expect(deaths(looks) == [false, false, false, false, false, false, true])
    }

    @Test
    func `a beat that goes back has moved`() {
        #expect(deaths([Look(0, 5), Look(3000, 5), Look(5000, 1), Look(8000, 1)]) == [false, false, false, false])
    }

    @Test
    func `a worker that is new to the list is not dead`() {
        let looks = [Look(0, nil), Look(2000, nil), Look(4000, nil), Look(6000, 1), Look(8000, 1), Look(11_000, 1)]
        #expect(deaths(looks) == [false, false, false, false, false, true])
    }

    @Test
    func `a worker that has left the list is forgotten, and new when it comes back`() {
        let looks = [Look(0, 1), Look(2000, 1), Look(4000, nil), Look(5000, 1), Look(8000, 1), Look(10_000, 1)]
        #expect(deaths(looks) == [false, false, false, false, false, true])
    }

    @Test
    func `only those are dead whose own beats stand still`() {
        var watch = BeatWatch()
        for second in 0...4 {
            let at = Self.start.advanced(by: .seconds(second))
            #expect(watch.saw([Self.other: 1, WorkerID(8): Int64(second)], from: at, to: at).isEmpty)
        }
        let at = Self.start.advanced(by: .seconds(5))
        #expect(watch.saw([Self.other: 1, WorkerID(8): 5], from: at, to: at) == [Self.other: 1])
    }
}
