package import Holdfast
import Redlock
import Synchronization

/// The claims that a worker has and has not settled, and how many slots their tasks take.
package final class RunningClaims: Sendable {
    private struct State {
        var fences: Set<Fence> = []
        var slots = 0
        var bytes = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// How many slots are taken.
    var slots: Int { state.withLock(\.slots) }

    /// How many claims are not settled, those that run included.
    var unsettled: Int { state.withLock(\.fences.count) }

    /// How many bytes the jobs of the claims have that are not settled.
    package var bytes: Int { state.withLock(\.bytes) }

    /// The claims' numbers, in no order.
    var fences: [Fence] { state.withLock { Array($0.fences) } }

    package func begin(_ claims: [Claim]) {
        state.withLock { state in
            state.fences.formUnion(claims.map(\.fence))
            state.slots += claims.count
            state.bytes += claims.reduce(0) { $0 + $1.bytes }
        }
    }

    /// Says that a claim's tasks have ended, and it is to be settled.
    func freeSlot() { state.withLock { $0.slots -= 1 } }

    /// Says that a claim is settled, or left to rescue.
    package func end(_ claim: Claim) {
        state.withLock { state in
            state.fences.remove(claim.fence)
            state.bytes -= claim.bytes
        }
    }
}
