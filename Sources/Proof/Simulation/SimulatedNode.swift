import PlantedBugs
import Redlock

/// A lock node: what Redis does with the commands and scripts of `LockQuestion`, by its own wall clock.
final class SimulatedNode {
    private struct Lock {
        var token: String
        /// In milliseconds, as Redis counts.
        var expiresAt: Int64
    }

    let number: Int
    /// Whether a restart loses nothing.
    let persists: Bool
    let server = SimulatedServer()
    private let schedule: Schedule
    private let judge: Judge
    private let rate: Double
    private var step: Int64 = 0
    private var locks: [String: Lock] = [:]
    /// How often it was started.
    private(set) var run = 0
    private var startedAt: Int64 = -1_000_000_000_000
    private var crashListeners: [() -> Void] = []

    init(_ number: Int, _ schedule: Schedule, _ judge: Judge, rate: Double, persists: Bool) {
        self.number = number
        self.schedule = schedule
        self.judge = judge
        self.rate = rate
        self.persists = persists
    }

    /// Whole seconds since its start.
    var uptime: Int64 { (schedule.now - startedAt) / 1_000_000_000 }

    /// Ends it; what is in its memory is gone with it.
    func crash() {
        server.isUp = false
        if !persists { locks = [:] }
        for listener in crashListeners { listener() }
    }

    /// Lets go of those who are told of crashes.
    func close() { crashListeners = [] }

    /// Has somebody told of each crash.
    func onCrash(_ listener: @escaping () -> Void) { crashListeners.append(listener) }

    func start() {
        guard !server.isUp else { return }
        server.isUp = true
        run += 1
        startedAt = schedule.now
    }

    func stepClock(by nanoseconds: Int64) { step += nanoseconds }

    func answer(_ questions: LockQuestions) -> [LockAnswer] {
        questions.list.map { question in
            switch question.kind {
            case .acquire: acquire(question)
            case .extend: extend(question)
            case .release: release(question)
            }
        }
    }

    private var milliseconds: Int64 { (Int64(Double(schedule.now) * rate) + step) / 1_000_000 }

    private func lock(_ name: String) -> Lock? {
        guard let lock = locks[name], milliseconds <= lock.expiresAt else { return nil }
        return lock
    }

    private func acquire(_ question: LockQuestion) -> LockAnswer {
        guard question.names.allSatisfy({ lock($0) == nil }) else { return LockAnswer(.held) }
        let expiresAt = milliseconds + question.ttl.milliseconds
        for name in question.names { locks[name] = Lock(token: question.token, expiresAt: expiresAt) }
        return LockAnswer(.granted)
    }

    private func extend(_ question: LockQuestion) -> LockAnswer {
        var least = Int64.max
        for name in question.names {
            guard let lock = lock(name) else { return LockAnswer(.held) }
            guard lock.token == question.token || PlantedBug.extendWithoutToken.isPlanted else {
                return LockAnswer(.held)
            }
            judge.touched(name, of: lock.token, by: question.token)
            least = min(least, lock.expiresAt - milliseconds)
        }
        for name in question.names { locks[name]?.expiresAt = milliseconds + question.ttl.milliseconds }
        return LockAnswer(.granted, left: .milliseconds(least))
    }

    private func release(_ question: LockQuestion) -> LockAnswer {
        var count = 0
        for name in question.names {
            guard let lock = lock(name) else { continue }
            guard lock.token == question.token || PlantedBug.releaseWithoutToken.isPlanted else { continue }
            judge.touched(name, of: lock.token, by: question.token)
            locks[name] = nil
            count += 1
        }
        return LockAnswer(count == question.names.count ? .granted : .held)
    }
}
