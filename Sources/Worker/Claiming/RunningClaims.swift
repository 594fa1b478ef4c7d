import Holdfast
import Redlock
import Synchronization

/// The claims that a worker has and has not settled, and how many slots their tasks take.
final class RunningClaims: Sendable {
    private struct State {
        var fences: Set<Fence> = []
        var slots = 0
    }

    private let state = Mutex(State())

    /// How many slots are taken.
    var slots: Int { state.withLock(\.slots) }

    /// How many claims are not settled, those that run included.
    var unsettled: Int { state.withLock(\.fences.count) }

    /// The claims' numbers, in no order.
    var fences: [Fence] { state.withLock { Array($0.fences) } }

    func begin(_ claims: [Claim]) {
        state.withLock { state in
            state.fences.formUnion(claims.map(\.fence))
            state.slots += claims.count
        }
    }

    /// Says that a claim's tasks have ended, and it is to be settled.
    func freeSlot() { state.withLock { $0.slots -= 1 } }

    /// Says that a claim is settled, or left to rescue.
    func end(_ claim: Claim) { state.withLock { _ = $0.fences.remove(claim.fence) } }
}
