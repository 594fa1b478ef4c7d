import Redlock
import Synchronization

/// A node that answers as the test says, and keeps what it was asked.
final class ScriptedNode: LockNode {
    enum Kind: Sendable { case acquire, extend, release }

    struct Question: Sendable {
        let kind: Kind
        let lock: String
        let token: String
        /// `nil` for a release.
        let ttl: Duration?
        let deadline: Duration
    }

    let name: String
    let isConnected = true
    private let answer: @Sendable (Question) async -> Vote.Verdict
    private let asked = Mutex<[Question]>([])

    init(_ name: String, _ answer: @escaping @Sendable (Question) async -> Vote.Verdict) {
        self.name = name
        self.answer = answer
    }

    /// All that it was asked, oldest first.
    var questions: [Question] { asked.withLock { $0 } }

    func questions(_ kind: Kind) -> [Question] { questions.filter { $0.kind == kind } }

    func acquire(_ lock: String, token: String, ttl: Duration, within deadline: Duration) async -> Vote.Verdict {
        await ask(Question(kind: .acquire, lock: lock, token: token, ttl: ttl, deadline: deadline))
    }

    func extend(_ lock: String, token: String, ttl: Duration, within deadline: Duration) async -> Vote.Verdict {
        await ask(Question(kind: .extend, lock: lock, token: token, ttl: ttl, deadline: deadline))
    }

    func release(_ lock: String, token: String, within deadline: Duration) async -> Vote.Verdict {
        await ask(Question(kind: .release, lock: lock, token: token, ttl: nil, deadline: deadline))
    }

    private func ask(_ question: Question) async -> Vote.Verdict {
        asked.withLock { $0.append(question) }
        return await answer(question)
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
