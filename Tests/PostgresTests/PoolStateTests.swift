import Postgres
import Testing

struct PoolStateTests {
    private typealias State = PoolState<String, Int>
    private let start = ContinuousClock.now

    private let refusal = PostgresError(.connectionFailed, "no one there")

    @Test func `a connection is opened for the first who wants one, lent, and kept`() {
        var state = State(size: 1)
        #expect(state.acquire(1, now: start).isOpen)
        #expect(state.opened("a").lent == Lent("a", to: 1))
        #expect(state.status == PoolStatus(lent: 1))
        #expect(state.returned("a").isNothing)
        #expect(state.acquire(2, now: start).lent == Lent("a", to: 2))
    }

    @Test func `those who wait are served in the order in which they came`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.opened("a")
        #expect(state.acquire(2, now: start).isNothing)
        #expect(state.acquire(3, now: start).isNothing)
        #expect(state.returned("a").lent == Lent("a", to: 2))
        #expect(state.returned("a").lent == Lent("a", to: 3))
    }

    @Test func `the connection that was used last is lent first`() {
        var state = State(size: 2)
        for id in 1...2 { _ = state.acquire(id, now: start) }
        _ = state.opened("a")
        _ = state.opened("b")
        _ = state.returned("b")
        _ = state.returned("a")
        #expect(state.acquire(3, now: start).lent == Lent("a", to: 3))
    }

    @Test func `there are never more connections than its size`() {
        var state = State(size: 2)
        #expect(state.acquire(1, now: start).isOpen)
        #expect(state.acquire(2, now: start).isOpen)
        #expect(state.acquire(3, now: start).isNothing)
        #expect(state.status == PoolStatus(opening: 2, waiting: 3))
    }

    @Test func `a dropped connection is replaced when someone waits`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.opened("a")
        _ = state.acquire(2, now: start)
        #expect(state.dropped(now: start).isOpen)
        #expect(state.opened("b").lent == Lent("b", to: 2))
        #expect(state.dropped(now: start).isNothing)
        #expect(state.status == PoolStatus())
    }

    @Test func `a failure to open fails all who wait when nothing is open`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.acquire(2, now: start)
        let failed = state.openFailed(refusal, now: start, jitter: 1).failed
        #expect(failed == Failed([1, 2], .connectionFailed))
    }

    @Test func `after a failure nobody tries again before the backoff has passed`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.openFailed(refusal, now: start, jitter: 1)
        #expect(state.acquire(2, now: start + .milliseconds(99)).failed == Failed([2], .connectionFailed))
        #expect(state.acquire(3, now: start + .milliseconds(100)).isOpen)
    }

    @Test func `the backoff doubles up to its cap, and a success ends it`() {
        var state = State(size: 1)
        var now = start
        for wait in [100, 200, 400, 800, 1_000, 1_000] {
            #expect(state.acquire(1, now: now).isOpen)
            _ = state.openFailed(refusal, now: now, jitter: 1)
            #expect(state.acquire(2, now: now + .milliseconds(wait - 1)).failed != nil)
            now += .milliseconds(wait)
        }
        _ = state.acquire(3, now: now)
        _ = state.opened("a")
        _ = state.dropped(now: now)
        #expect(state.acquire(4, now: now).isOpen)
    }

    @Test func `connections that fail together count as one failure`() {
        var state = State(size: 3)
        for id in 1...3 { _ = state.acquire(id, now: start) }
        #expect(state.openFailed(refusal, now: start, jitter: 1).isNothing)
        #expect(state.openFailed(refusal, now: start, jitter: 1).isNothing)
        #expect(state.openFailed(refusal, now: start, jitter: 1).failed?.waiters == [1, 2, 3])
        #expect(state.acquire(4, now: start + .milliseconds(100)).isOpen)
    }

    @Test func `while another connection is lent, a failure to open leaves waiters waiting for it`() {
        var state = State(size: 2)
        _ = state.acquire(1, now: start)
        _ = state.opened("a")
        _ = state.acquire(2, now: start)
        #expect(state.openFailed(refusal, now: start, jitter: 1).isNothing)
        #expect(state.returned("a").lent == Lent("a", to: 2))
    }

    @Test func `a waiter that was removed is not served, and not found twice`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.acquire(2, now: start)
        #expect(state.remove(1) == 1)
        #expect(state.remove(1) == nil)
        #expect(state.opened("a").lent == Lent("a", to: 2))
        #expect(state.remove(2) == nil)
    }

    @Test func `a connection that nobody waits for any more is kept`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.remove(1)
        #expect(state.opened("a").isNothing)
        #expect(state.status == PoolStatus(idle: 1))
    }

    @Test func `those whose time is up are told, and one timer serves all`() {
        var state = State(size: 1)
        _ = state.acquire(1, now: start)
        _ = state.opened("a")
        #expect(state.setTimer() == nil)
        _ = state.acquire(2, now: start)
        _ = state.acquire(3, now: start + .seconds(1))
        #expect(state.setTimer() == start + .seconds(5))
        #expect(state.setTimer() == nil)
        #expect(state.expire(now: start + .seconds(5)).failed == Failed([2], .poolExhausted))
        #expect(state.setTimer() == start + .seconds(6))
        _ = state.returned("a")
        #expect(state.expire(now: start + .seconds(6)).isNothing)
        #expect(state.setTimer() == nil)
    }

    @Test func `a closed pool refuses all, and keeps nothing`() {
        var state = State(size: 2)
        for id in 1...3 { _ = state.acquire(id, now: start) }
        _ = state.opened("a")
        #expect(state.close().failed == Failed([2, 3], .poolExhausted))
        #expect(state.acquire(4, now: start).failed == Failed([4], .poolExhausted))
        #expect(state.opened("b").isNothing)
        #expect(state.returned("a").isNothing)
        #expect(state.status == PoolStatus())
    }
}

private struct Lent: Equatable {
    let connection: String
    let waiter: Int

    init(_ connection: String, to waiter: Int) {
        self.connection = connection
        self.waiter = waiter
    }
}

private struct Failed: Equatable {
    let waiters: [Int]
    let code: PostgresError.Code

    init(_ waiters: [Int], _ code: PostgresError.Code) {
        self.waiters = waiters
        self.code = code
    }
}

extension PoolState<String, Int> {
    fileprivate mutating func acquire(_ id: Int, now: Instant) -> Action {
        acquire(id, id: id, now: now, deadline: now + .seconds(5))
    }
}

extension PoolState<String, Int>.Action {
    fileprivate var isNothing: Bool { if case .nothing = self { true } else { false } }
    fileprivate var isOpen: Bool { if case .open = self { true } else { false } }
    fileprivate var lent: Lent? {
        if case .lend(let connection, let waiter) = self { Lent(connection, to: waiter) } else { nil }
    }
    fileprivate var failed: Failed? {
        if case .fail(let waiters, let error) = self { Failed(waiters, error.code) } else { nil }
    }
}
