import Holdfast
import Testing

struct EventOrderTests {
    private let start = ContinuousClock.now

    @Test func `events go out in their order, at once`() {
        var order = EventOrder(after: 5)
        #expect(order.letOut([6, 7, 8], .init(oldest: 1, next: 2), now: start) == 3)
        #expect(order.position == 8)
    }

    @Test func `one that commits late is waited for, and comes before those above it`() {
        var order = EventOrder(after: 5)
        #expect(order.letOut([6, 8, 9], .init(oldest: 100, next: 101), now: start) == 1)
        #expect(order.letOut([8, 9], .init(oldest: 100, next: 102), now: start + .seconds(1)) == 0)
        #expect(order.letOut([7, 8, 9], .init(oldest: 103, next: 103), now: start + .seconds(2)) == 3)
    }

    @Test func `a number that will never come is not waited for once all that could have drawn it are over`() {
        var order = EventOrder(after: 5)
        #expect(order.letOut([7], .init(oldest: 100, next: 105), now: start) == 0)
        // Whoever drew it may have begun after the first look.
        #expect(order.letOut([7], .init(oldest: 106, next: 107), now: start + .seconds(1)) == 0)
        #expect(order.letOut([7], .init(oldest: 106, next: 109), now: start + .seconds(2)) == 0)
        #expect(order.letOut([7], .init(oldest: 107, next: 109), now: start + .seconds(3)) == 1)
        #expect(order.position == 7)
    }

    @Test func `a transaction that runs for hours stops nothing for long`() {
        var order = EventOrder(after: 5)
        #expect(order.letOut([7], .init(oldest: 1, next: 105), now: start) == 0)
        #expect(order.letOut([7], .init(oldest: 1, next: 105), now: start + .seconds(29)) == 0)
        #expect(order.letOut([7], .init(oldest: 1, next: 105), now: start + .seconds(31)) == 1)
    }
}
