package import Holdfast
import Redlock
import Synchronization

/// The claims that a worker has and has not settled, and how many slots their tasks take.
package final class RunningClaims: Sendable {
    private struct State {
        /// How many jobs each claim runs, and since when.
        var claims: [Fence: (jobs: Int, start: ContinuousClock.Instant)] = [:]
        var slots = 0
        var bytes = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// How many slots are taken.
    var slots: Int { state.withLock(\.slots) }

    /// How many claims are not settled, those that run included.
    var unsettled: Int { state.withLock(\.claims.count) }

    /// How many bytes the jobs of the claims have that are not settled.
    package var bytes: Int { state.withLock(\.bytes) }

    /// The claims' numbers, in no order.
    var fences: [Fence] { state.withLock { Array($0.claims.keys) } }

    /// How many jobs those claims run that were made after a moment.
    func jobs(since start: ContinuousClock.Instant) -> Int {
        state.withLock { $0.claims.values.reduce(0) { $1.start >= start ? $0 + $1.jobs : $0 } }
    }

    package func begin(_ claims: [Claim]) {
        let now = ContinuousClock.now
        state.withLock { state in
            for claim in claims { state.claims[claim.fence] = (claim.jobs.count, now) }
            state.slots += claims.count
            state.bytes += claims.reduce(0) { $0 + $1.bytes }
        }
    }

    /// Says that a claim's tasks have ended, and it is to be settled.
    func freeSlot(of claim: Claim) {
        state.withLock { state in
            state.slots -= 1
            state.claims[claim.fence]?.jobs = 0
        }
    }

    /// Says that a claim is settled, or left to rescue.
    package func end(_ claim: Claim) {
        state.withLock { state in
            state.claims[claim.fence] = nil
            state.bytes -= claim.bytes
        }
    }
}
