import Synchronization

/// One question to all nodes at once, and their votes.
///
/// It is one lock and a few callbacks, with no task for each node: a worker asks tens of thousands of questions a second.
final class Round: Sendable {
    /// A node's vote, and what came with it.
    struct Ballot: Sendable {
        var vote: Vote
        /// When it came, on the clock that measures validity.
        let answeredAt: ContinuousClock.Instant
        let left: Duration?
    }

    private struct State {
        var ballots: [Ballot?]
        var pending: [(any PendingVote)?]
        var missing: Int
        /// How long those that are missing are waited for; `nil` while they may still decide.
        var grace: Duration?
        var continuation: CheckedContinuation<[Ballot], Never>?
    }

    private let state: Mutex<State>
    private let quorum: Int
    private let grace: Duration

    private init(count: Int, quorum: Int, grace: Duration) {
        self.quorum = quorum
        self.grace = grace
        state = Mutex(
            State(
                ballots: Array(repeating: nil, count: count),
                pending: Array(repeating: nil, count: count),
                missing: count
            )
        )
    }

    /// Asks.
    ///
    /// Once those that answered have decided, the others get a short grace: a frozen node slows nobody. When the task is
    /// cancelled, all that have not answered are late.
    ///
    /// - Returns: One ballot for each node, in the nodes' order.
    static func ask(
        _ nodes: [any LockNode],
        _ question: LockQuestion,
        within deadline: Duration,
        grace: Duration,
        quorum: Int,
        clock: any MonotonicClock
    ) async -> [Ballot] {
        let round = Round(count: nodes.count, quorum: quorum, grace: grace)
        let start = clock.now
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                round.state.withLock { $0.continuation = continuation }
                for (index, node) in nodes.enumerated() {
                    let pending = node.ask(question, within: deadline) { answer in
                        let now = clock.now
                        let vote = Vote(node: node.name, verdict: answer.verdict, latency: start.duration(to: now))
                        round.receive(Ballot(vote: vote, answeredAt: now, left: answer.left), from: index)
                    }
                    if let pending { round.wait(for: pending, of: index) }
                }
            }
        } onCancel: {
            round.hasten(.zero)
        }
    }

    /// Whether no further vote can change the outcome.
    static func isDecided(granted: Int, missing: Int, quorum: Int) -> Bool {
        granted >= quorum || granted + missing < quorum
    }

    private func wait(for pending: any PendingVote, of index: Int) {
        let grace = state.withLock { state in
            // Its answer may have come already.
            if state.ballots[index] == nil { state.pending[index] = pending }
            return state.grace
        }
        if let grace { pending.giveUp(within: grace) }
    }

    private func receive(_ ballot: Ballot, from index: Int) {
        var isDecided = false
        let (continuation, ballots) = state.withLock { state in
            state.ballots[index] = ballot
            state.pending[index] = nil
            state.missing -= 1
            guard state.missing > 0 else { return (state.continuation.take(), state.ballots) }
            if state.grace == nil {
                let granted = state.ballots.count { $0?.vote.verdict == .granted }
                isDecided = Self.isDecided(granted: granted, missing: state.missing, quorum: quorum)
            }
            return (nil, [])
        }
        if isDecided { hasten(grace) }
        continuation?.resume(returning: ballots.map { $0! })  // None is missing.
    }

    private func hasten(_ limit: Duration) {
        let pending = state.withLock { state in
            state.grace = min(state.grace ?? limit, limit)
            return state.pending
        }
        for vote in pending { vote?.giveUp(within: limit) }
    }
}
