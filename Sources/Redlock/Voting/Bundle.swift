import Synchronization

/// Questions that go to all nodes together, and the nodes' votes.
///
/// Each node gets one send and gives one list of answers, whatever the number of questions: a process that asks tens of
/// thousands of questions a second has no task, timer or lock for each of them on each node.
final class Bundle: Sendable {
    fileprivate struct Entry {
        let question: LockQuestion
        var waiting: CheckedContinuation<[Ballot], Never>?
        /// What is to be handed out to somebody who does not wait yet.
        var ballots: [Ballot]?
        var isOver = false
        /// Who asks it was cancelled before it was sent.
        var isGivenUp = false
    }

    fileprivate struct Answers {
        let list: [LockAnswer]
        let time: ContinuousClock.Instant
    }

    fileprivate struct State {
        var entries: [Entry] = []
        var sentAt: ContinuousClock.Instant?
        var answers: [Answers?]
        var pending: [(any PendingVote)?]
        var missing: Int
        var isInGrace = false
        /// Whether all nodes have been asked.
        var isSent = false
    }

    /// The most questions of one bundle: more gain nothing, and have the first wait for the last.
    private static let capacity = 64

    let deadline: Duration
    private let nodes: [PolledNode]
    private let quorum: Int
    private let grace: Duration
    private let clock: any MonotonicClock
    private let state: Mutex<State>

    /// - Parameters:
    ///   - nodes: Who is asked.
    ///   - quorum: How many votes decide a question.
    ///   - deadline: How long any node is waited for.
    ///   - grace: How long the others are waited for once those that answered have decided every question.
    ///   - clock: Measures latency and validity.
    init(nodes: [PolledNode], quorum: Int, deadline: Duration, grace: Duration, clock: any MonotonicClock) {
        self.nodes = nodes
        self.quorum = quorum
        self.deadline = deadline
        self.grace = grace
        self.clock = clock
        state = Mutex(
            State(
                answers: Array(repeating: nil, count: nodes.count),
                pending: Array(repeating: nil, count: nodes.count),
                missing: nodes.count
            )
        )
    }

    /// Adds questions, which are asked in their order.
    ///
    /// - Returns: The number of the first; `nil` when the bundle has been sent, or has no room for all of them.
    func add(_ questions: [LockQuestion]) -> Int? {
        state.withLock { state in
            let first = state.entries.count
            guard state.sentAt == nil, first + questions.count <= Self.capacity else { return nil }
            for question in questions { state.entries.append(Entry(question: question)) }
            return first
        }
    }

    /// Asks all nodes; to be called once.
    func send() {
        let now = clock.now
        let questions = state.withLock { state in
            state.sentAt = now
            return LockQuestions(state.entries.map(\.question))
        }
        for (index, node) in nodes.enumerated() {
            let pending = node.node.ask(questions, within: deadline) { answers in
                node.count(answers)
                self.received(answers, from: index)
            }
            guard let pending else { continue }
            let isInGrace = state.withLock { state in
                // Its answer may have come already.
                if state.answers[index] == nil { state.pending[index] = pending }
                return state.isInGrace
            }
            if isInGrace { pending.giveUp(within: grace) }
        }
        let end = clock.now
        let givenUp = state.withLock { state in
            state.isSent = true
            return state.entries.indices.filter { state.entries[$0].isGivenUp }.map { state.finish($0, at: end) }
        }
        for (waiting, ballots) in givenUp { waiting?.resume(returning: ballots) }
    }

    /// Waits for the votes on a question.
    ///
    /// A caller that is cancelled is told that all nodes that have not answered are late, as soon as they have been asked:
    /// what it then takes back must not come before what it asked for.
    ///
    /// - Returns: One ballot for each node, in the nodes' order.
    func ballots(on index: Int) async -> [Ballot] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ballots = state.withLock { state -> [Ballot]? in
                    if let ballots = state.entries[index].ballots.take() { return ballots }
                    state.entries[index].waiting = continuation
                    return nil
                }
                if let ballots { continuation.resume(returning: ballots) }
            }
        } onCancel: {
            let now = clock.now
            let finished = state.withLock { state -> (CheckedContinuation<[Ballot], Never>?, [Ballot])? in
                if state.isSent { return state.finish(index, at: now) }
                state.entries[index].isGivenUp = true
                return nil
            }
            if let (waiting, ballots) = finished { waiting?.resume(returning: ballots) }
        }
    }

    private func received(_ list: [LockAnswer], from node: Int) {
        let now = clock.now
        typealias Finished = (CheckedContinuation<[Ballot], Never>?, [Ballot])
        let (over, late) = state.withLock { state -> ([Finished], [(any PendingVote)?]) in
            state.answers[node] = Answers(list: list, time: now)
            state.pending[node] = nil
            state.missing -= 1
            if state.missing == 0 {
                var over: [Finished] = []
                over.reserveCapacity(state.entries.count)
                for index in state.entries.indices { over.append(state.finish(index, at: now)) }
                return (over, [])
            }
            guard !state.isInGrace, state.isDecided(quorum: quorum) else { return ([], []) }
            // A frozen node slows nobody.
            state.isInGrace = true
            return ([], state.pending)
        }
        for (waiting, ballots) in over { waiting?.resume(returning: ballots) }
        for pending in late { pending?.giveUp(within: grace) }
    }
}

fileprivate extension Bundle.State {
    /// Whether no further answer can change the outcome of any question.
    func isDecided(quorum: Int) -> Bool {
        entries.indices.allSatisfy { index in
            let granted = answers.count { $0?.list[index].verdict == .granted }
            return entries[index].isOver || Bundle.isDecided(granted: granted, missing: missing, quorum: quorum)
        }
    }

    /// Ends the wait for a question's votes; what has not come is late.
    mutating func finish(
        _ index: Int,
        at now: ContinuousClock.Instant
    ) -> (CheckedContinuation<[Ballot], Never>?, [Ballot]) {
        guard !entries[index].isOver else { return (nil, []) }
        entries[index].isOver = true
        let start = sentAt ?? now
        var ballots: [Ballot] = []
        ballots.reserveCapacity(answers.count)
        for node in answers.indices {
            let answer = answers[node]?.list[index] ?? LockAnswer(.late)
            let time = answers[node]?.time ?? now
            ballots.append(
                Ballot(
                    verdict: answer.verdict,
                    latency: start.duration(to: time),
                    answeredAt: time,
                    left: answer.left
                )
            )
        }
        guard let waiting = entries[index].waiting.take() else {
            entries[index].ballots = ballots
            return (nil, [])
        }
        return (waiting, ballots)
    }
}

extension Bundle {
    /// Whether no further vote can change the outcome.
    static func isDecided(granted: Int, missing: Int, quorum: Int) -> Bool {
        granted >= quorum || granted + missing < quorum
    }
}
