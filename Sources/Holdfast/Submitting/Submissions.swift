import CoreMetrics
import Postgres
import Redlock
import Tracing

/// Stores jobs as they are submitted; concurrent submissions share a statement and a commit.
package struct Submissions: Sendable {
    /// The most bytes of jobs in one statement: 8 MiB.
    private static let batchBytes = 8 << 20
    /// The most bytes of jobs that wait for a statement: 64 MiB.
    package static let waitingBytes = 64 << 20
    /// What a job weighs besides its key and value, in bytes.
    private static let jobBytes = 256

    /// How long a job waits for a line that somebody keeps locked.
    private static let lockedDeadline: Duration = .seconds(4)

    /// Where batches that came as such are stored: they are long, and those that came one by one wait for none of them.
    private let batchStore: JobStore
    private let batches: GroupCommit<NewJob, Outcome>
    /// Those whose lines were found to be locked: they are tried apart, so that all others don't wait with them.
    private let apart: GroupCommit<NewJob, Outcome>
    private let aside: KeysAside
    private let wakeups: Wakeups
    private let limits: QueueLimits
    private let metrics = SubmitMetrics()
    /// The most bytes of jobs that wait for a statement.
    package let waitingLimit: Int

    /// What became of a job in a batch.
    private enum Outcome: Sendable {
        case done(Result<JobReceipt, any Error>)
        /// Somebody has its line locked; nothing was stored.
        case locked
    }

    /// - Parameters:
    ///   - store: Where jobs are stored.
    ///   - batchStore: Where batches are stored; `nil`: there too.
    ///   - wakeups: Told of queues that have work.
    ///   - waitingLimit: The most bytes of jobs that wait for a statement; default 64 MiB.
    ///   - storeAll: Stores jobs that came one by one, and gives a receipt for each; `nil`: in `store`.
    package init(
        store: JobStore,
        batchStore: JobStore? = nil,
        wakeups: Wakeups,
        waitingLimit: Int = Self.waitingBytes,
        storeAll: (@Sendable ([NewJob]) async throws -> [Result<JobReceipt, SubmissionRefusal>])? = nil
    ) {
        self.batchStore = batchStore ?? store
        self.wakeups = wakeups
        let limits = QueueLimits()
        let aside = KeysAside()
        self.limits = limits
        self.aside = aside
        self.waitingLimit = waitingLimit
        batches = Self.batches("submit", waitingLimit) { jobs in
            if let storeAll { return try await storeAll(jobs).map { .done($0.mapError { $0 }) } }
            do {
                return try await Self.store(jobs, store, limits)
            } catch let error as PostgresError where error.isLockTimeout {
                return try await Self.storeUnlocked(jobs, store, limits, aside)
            }
        }
        apart = Self.batches("submit_apart", waitingLimit) { try await Self.storeUnlocked($0, store, limits, aside) }
    }

    private static func batches(
        _ name: String,
        _ waitingLimit: Int,
        _ perform: @escaping @Sendable ([NewJob]) async throws -> [Outcome]
    ) -> GroupCommit<NewJob, Outcome> {
        GroupCommit(name, waitingLimit: waitingLimit, batchLimit: batchBytes) { job in
            jobBytes + job.key.text.utf8.count + job.value.utf8.count + (job.metadata?.utf8.count ?? 0)
        } perform: {
            try await perform($0)
        }
    }

    private static func store(_ jobs: [NewJob], _ store: JobStore, _ limits: QueueLimits) async throws -> [Outcome] {
        do {
            return try await givingWay { try await store.submit(jobs, limits) }.map { .done($0.mapError { $0 }) }
        } catch let error as PostgresError where jobs.count > 1 && error.isOfContent {
            return await storeHalves(jobs, store, limits)
        }
    }

    /// Stores each half of some jobs by itself, and what fails again in halves of its own: what is in one job must not fail
    /// those that share its statement by chance.
    private static func storeHalves(_ jobs: [NewJob], _ store: JobStore, _ limits: QueueLimits) async -> [Outcome] {
        var outcomes: [Outcome] = []
        // One after the other, as the jobs of a key may be in both.
        for half in [jobs.prefix(jobs.count / 2), jobs.suffix(jobs.count - jobs.count / 2)] {
            do {
                outcomes += try await Self.store(Array(half), store, limits)
            } catch let error as PostgresError where error.isLockTimeout {
                outcomes += half.map { _ in .locked }
            } catch {
                outcomes += half.map { _ in .done(.failure(error)) }
            }
        }
        return outcomes
    }

    /// Stores those jobs whose lines nobody has locked; no statement of it waits for one that somebody keeps.
    private static func storeUnlocked(
        _ jobs: [NewJob],
        _ store: JobStore,
        _ limits: QueueLimits,
        _ aside: KeysAside
    ) async throws -> [Outcome] {
        let keys = Set(jobs.map(\.key))
        let locked = try await store.lockedLines(of: keys)
        aside.note(locked, of: keys, at: .now)
        let free = jobs.indices.filter { !locked.contains(jobs[$0].key) }
        var outcomes = [Outcome](repeating: .locked, count: jobs.count)
        guard !free.isEmpty else { return outcomes }
        do {
            for (index, outcome) in zip(free, try await Self.store(free.map { jobs[$0] }, store, limits)) {
                outcomes[index] = outcome
            }
        } catch let error as PostgresError where error.isLockTimeout {
            // Another was locked since: the next try sees which.
        }
        return outcomes
    }

    /// Stores a job with others, and apart while its line is locked.
    private func store(_ job: NewJob) async throws -> JobReceipt {
        let deadline = ContinuousClock.now.advanced(by: Self.lockedDeadline)
        var outcome = aside.contains(job.key, at: .now) ? .locked : try await batches.submit(job)
        while true {
            if case .done(let result) = outcome { return try result.get() }
            guard ContinuousClock.now < deadline else { throw LockedLine(key: job.key) }
            try await Task.sleep(for: .milliseconds(20))
            outcome = try await apart.submit(job)
        }
    }

    /// Stores a job; it survives any crash once this returns.
    ///
    /// - Throws: ``SubmissionRefusal``, ``LockedLine``, `PostgresError`, or ``GroupCommitFull``.
    package func submit(_ job: NewJob) async throws -> JobReceipt {
        do {
            let receipt = try await Self.traced([job]) { try await store($0[0]) }
            if receipt.isNew {
                metrics.accepted.increment()
                wakeups.ready(job.queue)
            }
            return receipt
        } catch {
            metrics.refused(error)
            throw error
        }
    }

    /// Stores a batch of jobs by themselves, in one commit, all or none.
    ///
    /// - Throws: ``BatchRefusal`` or `PostgresError`.
    package func submitWhole(_ jobs: [NewJob]) async throws -> [JobReceipt] {
        do {
            let receipts = try await Self.traced(jobs) { jobs in
                try await waitingForLines { try await batchStore.submitWhole(jobs, limits) }
            }
            metrics.accepted.increment(by: receipts.count(where: \.isNew))
            for queue in Set(zip(jobs, receipts).filter(\.1.isNew).map(\.0.queue)) { wakeups.ready(queue) }
            return receipts
        } catch {
            metrics.refused((error as? BatchRefusal)?.refusal ?? error)
            throw error
        }
    }

    /// Tries again while a line is locked: a try ends soon, since it keeps the lines of all its jobs.
    private func waitingForLines<Value>(_ body: () async throws -> Value) async throws -> Value {
        let deadline = ContinuousClock.now.advanced(by: Self.lockedDeadline)
        while true {
            do {
                return try await givingWay(body)
            } catch let error as PostgresError where error.isLockTimeout && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Stores jobs in a span, which theirs will belong to.
    private static func traced<Value: Sendable>(
        _ jobs: [NewJob],
        _ body: ([NewJob]) async throws -> Value
    ) async throws -> Value {
        guard JobTrace.isOn else { return try await body(jobs) }
        let context = ServiceContext.current ?? JobTrace.context(of: jobs.first?.traceparent)
        return try await withSpan("submit", context: context, ofKind: .producer) { span in
            span.attributes["holdfast.jobs"] = jobs.count
            return try await body(
                jobs.map { job in
                    var job = job
                    job.traceparent = JobTrace.traceparent(in: span, else: job.traceparent)
                    return job
                }
            )
        }
    }

    /// How many jobs wait for a statement, and how many bytes they are.
    package var waiting: (count: Int, bytes: Int) {
        let (usual, apart) = (batches.waiting, apart.waiting)
        return (usual.count + apart.count, usual.weight + apart.weight)
    }
}

extension PostgresError {
    /// Whether it may be for what is in a job, which fails again wherever it is stored.
    fileprivate var isOfContent: Bool { !isUnavailable && !gaveWay && code != .cancelled }
}
