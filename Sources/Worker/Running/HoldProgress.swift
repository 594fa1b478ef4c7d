import Holdfast
import Postgres
import Synchronization

/// How far the jobs of a run have come that share a hold.
final class HoldProgress: Sendable {
    private struct State {
        /// When the part of the job that runs began.
        var start: ContinuousClock.Instant
        /// Whether its task has begun.
        var hasBegun = false
        /// The parts of those before it.
        var passed: [(start: ContinuousClock.Instant, end: ContinuousClock.Instant)] = []
        var recorded: HoldReceipt?
    }

    private let state: Mutex<State>
    private let acquiredAt: ContinuousClock.Instant

    /// - Parameter start: When the hold was acquired.
    init(start: ContinuousClock.Instant) {
        acquiredAt = start
        state = Mutex(State(start: start))
    }

    /// When the part of the job that runs, or ran last, began.
    var start: ContinuousClock.Instant { state.withLock(\.start) }

    /// Says that the hold is recorded.
    func begin(_ hold: HoldReceipt) { state.withLock { $0.recorded = hold } }

    /// Says that the task of the job whose part this is begins.
    func beginTask() { state.withLock { $0.hasBegun = true } }

    /// Whether a job was there when the hold was recorded.
    func serves(_ job: JobID) -> Bool { state.withLock { $0.recorded.map { !$0.gone.contains(job) } ?? true } }

    /// Says that a job's task has succeeded, and the next one's begins.
    func pass(at now: ContinuousClock.Instant) {
        state.withLock { state in
            state.passed.append((state.start, now))
            state.start = now
            state.hasBegun = false
        }
    }

    /// Those attempts that ran, in order, one at least.
    func attempts(of all: [Attempt]) -> [Attempt] {
        let count = state.withLock { $0.passed.count + 1 }
        return Array(([all[0]] + all.dropFirst().filter { serves($0.job.id) }).prefix(count))
    }

    /// How many of all attempts are dealt with when these ran; those that are gone in between are.
    func count(of all: [Attempt], _ ran: [Attempt]) -> Int {
        1 + (all.lastIndex { $0.job.id == ran[ran.count - 1].job.id } ?? 0)
    }

    /// The part of each job that ran, and the hold as it was recorded.
    func parts(endingAt end: ContinuousClock.Instant) -> (parts: [HoldPart], recorded: HoldReceipt?) {
        state.withLock { state in
            let recorded = state.recorded
            var parts = (state.passed + [(state.start, max(end, state.start))]).map { start, end in
                // Counted from what was recorded, so not before the true time.
                let startedAt = recorded.map { $0.at.advanced(by: acquiredAt.duration(to: start)) }
                return HoldPart(start: start, end: end, startedAt: startedAt)
            }
            parts[parts.count - 1].hasBegun = state.hasBegun
            return (parts, recorded)
        }
    }
}

/// A job's part of a hold, on the worker's monotonic clock.
struct HoldPart: Sendable {
    let start: ContinuousClock.Instant
    let end: ContinuousClock.Instant
    /// When it began, by the database's clock; `nil` when the hold was not recorded.
    let startedAt: PostgresTimestamp?
    /// Whether the job's task has begun; one that passed its hold on has.
    var hasBegun = true
}
