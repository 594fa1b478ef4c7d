import Foundation
import Holdfast
import Redlock
import Synchronization
import TestSupport
import Testing
import Worker

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct HandlerTests {
    struct Broken: Error, CustomStringConvertible { let description = "it broke" }

    @Test
    func `a handler gets its payload, and what there is to know of its attempt`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let seen = Mutex<[String]>([])
            let handler = Scripted { payload, context in
                seen.withLock {
                    $0 = [
                        "\(payload.number)", "\(context.jobID)", context.key.text, "\(context.attempt)",
                        "\(context.maxAttempts)", "\(context.fence)", context.metadata ?? "", context.traceparent ?? "",
                    ]
                }
            }
            try await workers.withWorker(handler) {
                let id = try await workers.submit("k", 42) { job in
                    job.metadata = #"{"a": 1}"#
                    job.traceparent = "00-a-b-01"
                    job.maxAttempts = 7
                }
                let job = try await workers.outcome(of: id)
                #expect(job.state == .succeeded)
                let fence = try #require(job.fence)
                #expect(seen.withLock(\.self) == ["42", "\(id)", "k", "1", "7", "\(fence)", #"{"a": 1}"#, "00-a-b-01"])
                #expect(try await workers.attempts(of: id) == ["1 succeeded"])
            }
        }
    }

    @Test
    func `handlers that hold all threads keep no worker from its heartbeats`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let gate = Gate()
            let handler = Scripted { _, _ in gate.hold() }
            try await workers.withWorker(handler) {
                var jobs: [JobID] = []
                for number in 0..<Gate.threads { jobs.append(try await workers.submit("k\(number)")) }
                let rise = try await withTaskExecutorPreference(QueueTaskExecutor()) {
                    try await workers.beats(while: gate)
                }
                #expect(rise >= 3)
                for job in jobs { #expect(try await workers.outcome(of: job).attempt == 1) }
            }
        }
    }

    @Test
    func `a value that is no payload fails the job for good, and says why`() async throws {
        try await TestWorkers.with { (workers) async throws in
            try await workers.withWorker(Scripted { _, _ in }) {
                let id = try await workers.submit("k") { $0.value = #"{"count": 1}"# }
                let job = try await workers.outcome(of: id)
                #expect(job.state == .failed && job.attempt == 1)
                #expect(job.error?.contains("no payload of scripted") == true)
                #expect(job.error?.contains("number") == true)
            }
        }
    }

    @Test
    func `a task that throws is tried again, up to its attempts, and the error is kept`() async throws {
        try await TestWorkers.with { (workers) async throws in
            try await workers.withWorker(Scripted { _, _ in throw Broken() }) {
                let id = try await workers.submit("k") { $0.maxAttempts = 2 }
                let next = try await workers.submit("k", 1) { $0.maxAttempts = 1 }
                let job = try await workers.outcome(of: id)
                #expect(job.state == .failed && job.attempt == 2 && job.error == "it broke")
                #expect(try await workers.attempts(of: id) == ["1 failed", "2 failed"])
                // What is behind it in line has waited.
                let nextStart = try #require(try await workers.outcome(of: next).startedAt)
                let start = try #require(job.startedAt)
                #expect(nextStart > start)
                #expect(try await workers.isSound())
            }
        }
    }

    @Test
    func `a task says when it is to be tried again, that it is too early, or that it is over`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let runs = Mutex<[Int: Int]>([:])
            let handler = Scripted { payload, _ in
                let run = runs.withLock { runs in
                    runs[payload.number, default: 0] += 1
                    return runs[payload.number]!
                }
                guard run < 3 else { return }
                switch payload.number {
                case 1: throw TaskEnd.snoozed(for: .milliseconds(10), "too early")
                case 2: throw TaskEnd.retried(after: .milliseconds(10), "once more")
                default: throw TaskEnd.failed("it cannot be")
                }
            }
            try await workers.withWorker(handler) {
                let snoozed = try await workers.submit("1", 1)
                let retried = try await workers.submit("2", 2)
                let failed = try await workers.submit("3", 3)
                #expect(try await workers.outcome(of: snoozed).attempt == 1)
                #expect(try await workers.attempts(of: snoozed) == ["1 snoozed", "1 snoozed", "1 succeeded"])
                #expect(try await workers.outcome(of: retried).attempt == 3)
                #expect(try await workers.attempts(of: retried) == ["1 failed", "2 failed", "3 succeeded"])
                let job = try await workers.outcome(of: failed)
                #expect(job.state == .failed && job.attempt == 1 && job.error == "it cannot be")
            }
        }
    }

    @Test
    func `a job of a kind that a worker has no handler for waits for one that has, and nobody touches it`() async throws
    {
        try await TestWorkers.with { (workers) async throws in
            let id = try await workers.submit("k")
            try await workers.withWorker(LockAndSet(values: ValueStore(node: workers.nodes.nodes[0]))) {
                // It claims what it knows, many times.
                for number in 0..<20 {
                    let known = try await workers.submit("other-\(number)") { job in
                        job.kind = LockAndSet.kind
                        job.duration = .zero
                    }
                    #expect(try await workers.outcome(of: known).state == .succeeded)
                }
                let job = try await workers.job(id)
                #expect(job.error == nil && job.state == .queued && job.attempt == 0)
                #expect(
                    try await workers.texts("select lock_key from holdfast.key_lines where fence is not null") == []
                )
            }
            try await workers.withWorker(Scripted { _, _ in }) { () async throws in
                #expect(try await workers.outcome(of: id).state == .succeeded)
            }
        }
    }

    @Test
    func `a task that runs past its own time limit is cancelled`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let handler = Scripted { _, _ in try await Task.sleep(for: .seconds(3600)) }
            try await workers.withWorker(handler) {
                let id = try await workers.submit("k") { job in
                    job.timeout = .milliseconds(200)
                    job.maxAttempts = 1
                }
                let job = try await workers.outcome(of: id)
                #expect(job.state == .failed)
                #expect(try await workers.attempts(of: id) == ["1 overrun"])
            }
        }
    }

    @Test
    func `what a task reports of its progress can be seen while it runs`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let handler = Scripted { _, context in
                context.report(0.25, "a quarter")
                try await Task.sleep(for: .seconds(3600))
            }
            try await workers.withWorker(handler) {
                let id = try await workers.submit("k")
                while try await workers.job(id).progress == nil { try await Task.sleep(for: .milliseconds(10)) }
                let job = try await workers.job(id)
                #expect(job.progress == 0.25 && job.progressNote == "a quarter" && job.state == .running)
            }
        }
    }
}

extension TestWorkers {
    /// How far the worker's beat moves on while all threads are held: three, unless it has not by then; opens the gate.
    fileprivate func beats(while gate: Gate) async throws -> Int {
        defer { gate.open() }
        while gate.held.load(ordering: .relaxed) < Gate.threads { try await Task.sleep(for: .milliseconds(10)) }
        let start = try await beat()
        var rise = 0
        for _ in 0..<300 where rise < 3 {
            try await Task.sleep(for: .milliseconds(100))
            rise = try await beat() - start
        }
        return rise
    }

    private func beat() async throws -> Int { try await Int(texts("select beat::text from holdfast.workers")[0]) ?? 0 }
}

/// Holds the threads of tasks until it is opened.
private final class Gate: Sendable {
    /// As many as the cooperative pool has.
    static let threads = ProcessInfo.processInfo.activeProcessorCount

    let held = Atomic(0)
    private let semaphore = DispatchSemaphore(value: 0)

    func hold() {
        held.add(1, ordering: .relaxed)
        semaphore.wait()
        semaphore.signal()
    }

    func open() { semaphore.signal() }
}

/// A thread apart from those of the cooperative pool, which a test holds.
private final class QueueTaskExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "observer")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
