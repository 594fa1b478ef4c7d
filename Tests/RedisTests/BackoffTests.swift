import Randomness
import Redis
import Testing

struct BackoffTests {
    @Test
    func `pauses double up to the cap, and keep at least half of it`() {
        var backoff = Backoff(base: .milliseconds(50), cap: .seconds(2))
        var random = SeededRandom(state: 1)
        for longest in [50, 100, 200, 400, 800, 1600, 2000, 2000] + Array(repeating: 2000, count: 100) {
            let pause = backoff.next(using: &random)
            #expect(pause <= .milliseconds(longest) && pause >= .milliseconds(longest / 2))
        }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(50))
    }
}
