import NIOCore
import Testing

@testable import Intake

struct ConnectionStateTests {
    private static let second = TimeAmount.seconds(1)
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    /// Deadlines that no two have in common: head 1 s, body 2 s, request 4 s, write 8 s, idle 16 s.
    private func makeState() -> ConnectionState {
        var configuration = IntakeConfiguration()
        configuration.headTimeout = .seconds(1)
        configuration.bodyTimeout = .seconds(2)
        configuration.requestTimeout = .seconds(4)
        configuration.writeTimeout = .seconds(8)
        configuration.idleTimeout = .seconds(16)
        return ConnectionState(limits: ConnectionState.Limits(configuration), now: start)
    }

    @Test func `a first head that does not come closes the connection, at its deadline and not before`() {
        let state = makeState()
        #expect(state.deadline == start + .seconds(1))
        #expect(state.wait == .forRequest)
        #expect(state.expired(now: start + .milliseconds(999)) == .wait)
        #expect(state.expired(now: start + .seconds(1)) == .close)
    }

    @Test func `a body that does not come is answered`() {
        var state = makeState()
        state.headRead(now: start)
        #expect(state.isServing && state.isReadingBody && state.wait == .withinRequest)
        #expect(state.deadline == start + .seconds(2))
        #expect(state.expired(now: start + .seconds(2)) == .answerTooSlow)
    }

    @Test func `a body that goes on after its answer has begun ends the connection without another`() {
        var state = makeState()
        state.headRead(now: start)
        state.answerBegun()
        #expect(state.expired(now: start + .seconds(2)) == .close)
    }

    @Test func `a service that does not answer is answered for`() {
        var state = makeState()
        state.headRead(now: start)
        state.bodyRead(now: start)
        #expect(state.wait == .none)
        #expect(state.deadline == start + .seconds(4))
        #expect(state.expired(now: start + .seconds(4)) == .answerUnavailable)
        state.answerBegun()
        #expect(state.deadline == nil)
    }

    @Test func `between requests a connection may idle, and the next of several has its own deadline`() {
        var state = makeState()
        for _ in 0..<2 {
            state.headRead(now: start)
            state.bodyRead(now: start)
        }
        state.answerBegun()
        state.answerEnded(now: start + .seconds(3))
        #expect(state.isServing)
        #expect(state.deadline == start + .seconds(7))
        state.answerBegun()
        state.answerEnded(now: start + .seconds(5))
        #expect(!state.isServing && state.wait == .forRequest)
        #expect(state.deadline == start + .seconds(21))
        #expect(state.expired(now: start + .seconds(21)) == .close)
    }

    @Test func `a client that takes nothing of an answer is not waited for`() {
        var state = makeState()
        state.headRead(now: start)
        state.bodyRead(now: start)
        state.answerBegun()
        state.writabilityChanged(to: false, now: start)
        #expect(state.wait == .withinRequest)
        #expect(state.deadline == start + .seconds(8))
        #expect(state.expired(now: start + .seconds(8)) == .close)
        state.writabilityChanged(to: true, now: start + .seconds(7))
        #expect(state.expired(now: start + .seconds(8)) == .wait)
    }
}
