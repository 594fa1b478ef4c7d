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

    private let batches: GroupCommit<NewJob, Result<JobReceipt, any Error>>
    private let wakeups: Wakeups
    private let store: JobStore
    private let limits: QueueLimits
    private let metrics = SubmitMetrics()
    /// The most bytes of jobs that wait for a statement.
    package let waitingLimit: Int

    /// - Parameters:
    ///   - store: Where jobs are stored.
    ///   - wakeups: Told of queues that have work.
    ///   - waitingLimit: The most bytes of jobs that wait for a statement; default 64 MiB.
    ///   - storeAll: Stores jobs that came one by one, and gives a receipt for each; `nil`: in `store`.
    package init(
        store: JobStore,
        wakeups: Wakeups,
        waitingLimit: Int = Self.waitingBytes,
        storeAll: (@Sendable ([NewJob]) async throws -> [Result<JobReceipt, any Error>])? = nil
    ) {
        self.store = store
        self.wakeups = wakeups
        let limits = QueueLimits()
        self.limits = limits
        self.waitingLimit = waitingLimit
        batches = GroupCommit("submit", waitingLimit: waitingLimit, batchLimit: Self.batchBytes) { job in
            Self.jobBytes + job.key.text.utf8.count + job.value.utf8.count
        } perform: { jobs in
            if let storeAll { return try await storeAll(jobs) }
            do {
                return try await givingWay { try await store.submit(jobs, limits) }.map { $0.mapError { $0 } }
            } catch let error as PostgresError where error.isLockTimeout {
                return await Self.submitApart(jobs, store, limits)
            }
        }
    }

    /// Stores the jobs of each key by themselves: somebody keeps a line locked, and the others need not wait for it.
    private static func submitApart(
        _ jobs: [NewJob],
        _ store: JobStore,
        _ limits: QueueLimits
    ) async -> [Result<JobReceipt, any Error>] {
        await withTaskGroup(of: [(Int, Result<JobReceipt, any Error>)].self) { group in
            for places in Dictionary(grouping: jobs.indices, by: { jobs[$0].key }).values {
                group.addTask {
                    do {
                        let results = try await givingWay { try await store.submit(places.map { jobs[$0] }, limits) }
                        return zip(places, results).map { ($0, $1.mapError { $0 }) }
                    } catch {
                        return places.map { ($0, .failure(error)) }
                    }
                }
            }
            var results: [Int: Result<JobReceipt, any Error>] = [:]
            for await some in group { for (place, result) in some { results[place] = result } }
            return jobs.indices.map { results[$0]! }  // Each job has one key.
        }
    }

    /// Stores a job; it survives any crash once this returns.
    ///
    /// - Throws: ``SubmissionRefusal``, `PostgresError`, or ``GroupCommitFull``.
    package func submit(_ job: NewJob) async throws -> JobReceipt {
        do {
            let receipt = try await Self.traced([job]) { try await batches.submit($0[0]).get() }
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
                try await givingWay { try await store.submitWhole(jobs, limits) }
            }
            metrics.accepted.increment(by: receipts.count(where: \.isNew))
            for queue in Set(zip(jobs, receipts).filter(\.1.isNew).map(\.0.queue)) { wakeups.ready(queue) }
            return receipts
        } catch {
            metrics.refused((error as? BatchRefusal)?.refusal ?? error)
            throw error
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
        let (count, weight) = batches.waiting
        return (count, weight)
    }
}
