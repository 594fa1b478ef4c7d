import HTTPTypes
import Holdfast
import Logging
import Synchronization

/// Waits for jobs to finish: one look at all of them at a time, however many requests wait.
final class JobWatch: Sendable {
    private struct Waiter {
        let job: JobID
        let deadline: ContinuousClock.Instant
        let end: AsyncStream<Void>.Continuation
    }

    private struct State {
        var places: Places
        var waiters: [Int: Waiter] = [:]
        var lastID = 0
        var isClosed = false
    }

    private static let interval: Duration = .milliseconds(100)

    private let store: JobStore
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - store: Asked for the jobs.
    ///   - limit: The most requests that wait; fewer than connections, as nobody makes place who is being served.
    ///   - logger: For what goes wrong.
    init(store: JobStore, limit: Int, logger: Logger) {
        self.store = store
        self.logger = logger
        state = Mutex(State(places: Places(limit: limit)))
    }

    /// How many requests wait now.
    var waiterCount: Int { state.withLock { $0.waiters.count } }

    /// Waits until a job has finished, the time is up, the client has gone, or the intake shuts down.
    ///
    /// - Parameters:
    ///   - job: What is waited for.
    ///   - limit: For how long.
    ///   - token: Whose request it is; `nil` for anyone.
    /// - Throws: ``Problem`` when too many wait already.
    func wait(for job: JobID, within limit: Duration, token: Int64? = nil) async throws(Problem) {
        let (ends, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let waiter = Waiter(job: job, deadline: .now + limit, end: end)
        let id: Int? = try state.withLock { state throws(Problem) in
            guard !state.isClosed else { return nil }
            try state.places.take(token, "requests that wait")
            state.lastID += 1
            state.waiters[state.lastID] = waiter
            return state.lastID
        }
        guard let id else { return }
        OpenConnection.whenGone { end.finish() }
        for await _ in ends {}
        state.withLock { state in
            state.waiters[id] = nil
            state.places.giveBack(token)
        }
    }

    /// Looks for jobs that have finished until its task is cancelled.
    func run() async {
        var isFailing = false
        while !Task.isCancelled {
            let waiters = state.withLock { Array($0.waiters.values) }
            if !waiters.isEmpty {
                var finished: Set<JobID> = []
                do {
                    finished = Set(try await store.finished(of: Array(Set(waiters.map(\.job)))))
                    isFailing = false
                } catch {
                    if !isFailing { logger.debug("Jobs not looked at", metadata: ["error": "\(error)"]) }
                    isFailing = true
                }
                let now = ContinuousClock.now
                for waiter in waiters where finished.contains(waiter.job) || waiter.deadline <= now {
                    waiter.end.finish()
                }
            }
            try? await Task.sleep(for: Self.interval)  // Cancelled: the loop ends.
        }
        let waiters = state.withLock { state in
            state.isClosed = true
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.end.finish() }
    }
}
