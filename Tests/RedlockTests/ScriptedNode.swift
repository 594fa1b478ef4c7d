import Redlock
import Synchronization

/// A node that answers as the test says, and keeps what it was asked.
final class ScriptedNode: LockNode {
    struct Question: Sendable {
        let kind: LockQuestion.Kind
        let lock: String
        let token: String
        let ttl: Duration
        let deadline: Duration
    }

    let name: String
    let mayVote = true
    private let clock: any MonotonicClock
    private let answer: @Sendable (Question) async -> LockAnswer
    private let asked = Mutex<[Question]>([])

    init(
        _ name: String,
        clock: any MonotonicClock = ContinuousClock(),
        answer: @escaping @Sendable (Question) async -> LockAnswer
    ) {
        self.name = name
        self.clock = clock
        self.answer = answer
    }

    /// A node whose time to live is always as it should be.
    convenience init(
        _ name: String,
        clock: any MonotonicClock = ContinuousClock(),
        _ verdict: @escaping @Sendable (Question) async -> Vote.Verdict
    ) {
        let setAt = Mutexed<ContinuousClock.Instant?>(nil)
        self.init(name, clock: clock) { question in
            let verdict = await verdict(question)
            guard verdict == .granted, question.kind != .release else { return LockAnswer(verdict) }
            let now = clock.now
            let before = setAt.exchange(now)
            guard question.kind == .extend else { return LockAnswer(verdict) }
            return LockAnswer(verdict, left: question.ttl - (before?.duration(to: now) ?? .zero))
        }
    }

    /// All that it was asked, oldest first.
    var questions: [Question] { asked.withLock { $0 } }

    func questions(_ kind: LockQuestion.Kind) -> [Question] { questions.filter { $0.kind == kind } }

    func run() async {}

    func ask(
        _ questions: LockQuestions,
        within deadline: Duration,
        _ answer: @escaping @Sendable ([LockAnswer]) -> Void
    ) -> (any PendingVote)? {
        let questions = questions.list.map { question in
            Question(
                kind: question.kind,
                lock: question.names.joined(separator: " "),
                token: question.token,
                ttl: question.ttl,
                deadline: deadline
            )
        }
        asked.withLock { $0 += questions }
        let pending = Pending(clock: clock, count: questions.count, answer)
        // Unstructured, as the replies of a real node are: nobody waits for one that was given up.
        Task {
            var answers: [LockAnswer] = []
            for question in questions { answers.append(await self.answer(question)) }
            pending.answer(answers)
        }
        return pending
    }

    private final class Pending: PendingVote {
        private struct State {
            var answer: (@Sendable ([LockAnswer]) -> Void)?
            var timer: Task<Void, Never>?
        }

        private let clock: any MonotonicClock
        private let late: [LockAnswer]
        private let state: Mutex<State>

        init(clock: any MonotonicClock, count: Int, _ answer: @escaping @Sendable ([LockAnswer]) -> Void) {
            self.clock = clock
            late = Array(repeating: LockAnswer(.late), count: count)
            state = Mutex(State(answer: answer))
        }

        func answer(_ answer: [LockAnswer]) {
            let (waiting, timer) = state.withLock { ($0.answer.take(), $0.timer.take()) }
            timer?.cancel()
            waiting?(answer)
        }

        func giveUp(within limit: Duration) {
            guard limit > .zero else { return answer(late) }
            let deadline = clock.now.advanced(by: limit)
            state.withLock { state in
                guard state.answer != nil else { return }
                state.timer = Task { [clock] in
                    guard (try? await clock.sleep(until: deadline, tolerance: nil)) != nil else { return }
                    answer(late)
                }
            }
        }
    }
}

/// How a try for a lock ended, without what it carries.
enum Ending: Sendable { case granted, held, noQuorum }

extension Acquisition {
    var ending: Ending {
        switch self {
        case .granted: .granted
        case .held: .held
        case .noQuorum: .noQuorum
        }
    }

    /// Each node's answer, in the nodes' order.
    var votes: [Vote] {
        switch self {
        case .granted(let hold): hold.votes
        case .held(let votes), .noQuorum(let votes): votes
        }
    }

    /// The hold; `nil` when there is none.
    var hold: Hold? {
        guard case .granted(let hold) = self else { return nil }
        return hold
    }
}

/// A value that the test shares with what it runs.
final class Mutexed<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>

    init(_ value: Value) { storage = Mutex(value) }

    var value: Value { storage.withLock { $0 } }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { storage.withLock { body(&$0) } }

    func exchange(_ value: Value) -> Value {
        storage.withLock { stored in
            defer { stored = value }
            return stored
        }
    }
}
