import Holdfast
import Redlock
import Synchronization
import TestSupport
import Testing
import Worker

/// What operators ask for while workers run.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct OrdersTests {
    /// Succeeds at once, but for number 1, which waits until it is cancelled.
    private let handler = Scripted { payload, _ in
        if payload.number == 1 { try await Task.sleep(for: .seconds(3600)) }
    }

    private func begun(_ id: JobID, _ workers: TestWorkers) async throws {
        while try await workers.job(id).state != .running { try await Task.sleep(for: .milliseconds(10)) }
    }

    @Test
    func `a running job that is cancelled ends, its hold is released, and the next of its line runs`() async throws {
        try await TestWorkers.with { (workers) async throws in
            try await workers.withWorker(handler) {
                let id = try await workers.submit("k", 1)
                let next = try await workers.submit("k", 2)
                try await begun(id, workers)
                #expect(try await workers.isLocked("k"))
                try await workers.run("select holdfast.cancel($1)", id)
                let job = try await workers.outcome(of: id)
                #expect(job.state == .cancelled && job.startedAt != nil)
                #expect(try await workers.attempts(of: id) == ["1 cancelled"])
                #expect(try await workers.outcome(of: next).state == .succeeded)
                #expect(try await !workers.isLocked("k"))
                #expect(try await workers.isSound())
            }
        }
    }

    @Test
    func `cancelling goes by polling when nobody is notified`() async throws {
        try await TestWorkers.with { (workers) async throws in
            try await workers.withWorker(handler) {
                let id = try await workers.submit("k", 1)
                try await begun(id, workers)
                try await workers.run(
                    "update holdfast.jobs set cancel_requested_at = clock_timestamp() where id = $1",
                    id
                )
                #expect(try await workers.outcome(of: id).state == .cancelled)
            }
        }
    }

    @Test
    func `a job that was to be cancelled when its worker died is not run again`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let id = try await workers.submit("k", 1)
            let next = try await workers.submit("k", 2)
            try await workers.run("update holdfast.jobs set cancel_requested_at = clock_timestamp() where id = $1", id)
            try await workers.withWorker(handler) {
                let job = try await workers.outcome(of: id)
                #expect(job.state == .cancelled && job.startedAt == nil)
                #expect(try await workers.attempts(of: id) == [])
                #expect(try await workers.outcome(of: next).state == .succeeded)
            }
        }
    }

    @Test
    func `a queue that is paused starts nothing more, not even of a run that goes on, until it is resumed`()
        async throws
    {
        try await TestWorkers.with { (workers) async throws in
            let gate = Mutex(false)
            let handler = Scripted { payload, _ in
                while payload.number == 0, !gate.withLock(\.self) { try await Task.sleep(for: .milliseconds(5)) }
            }
            // Before the worker starts, so that one run has both.
            let first = try await workers.submit("k", 0)
            let second = try await workers.submit("k", 1)
            try await workers.withWorker(handler, configure: { $0.runTimeSlice = .seconds(3600) }) {
                let other = try await workers.submit("l", 1) { $0.queue = "default" }
                #expect(try await workers.outcome(of: other).state == .succeeded)
                let probe = try await workers.submit("probe", 0)
                try await begun(first, workers)
                try await begun(probe, workers)
                try await workers.run("select holdfast.pause('default')")
                // Orders are read together: when this one is carried out, the pause is known.
                try await workers.run("select holdfast.cancel($1)", probe)
                #expect(try await workers.outcome(of: probe).state == .cancelled)
                gate.withLock { $0 = true }
                #expect(try await workers.outcome(of: first).state == .succeeded)
                let held = "select lock_key from holdfast.key_lines where held_by is not null"
                while try await !workers.texts(held).isEmpty { await Task.yield() }
                #expect(try await workers.job(second).state == .queued)
                try await workers.run("select holdfast.resume('default')")
                #expect(try await workers.outcome(of: second).state == .succeeded)
            }
        }
    }

    @Test
    func `scheduled jobs run when they are due, and those that came by SQL at once`() async throws {
        try await TestWorkers.with { (workers) async throws in
            try await workers.withWorker(handler) {
                try await workers.run(
                    """
                    select holdfast.submit('a', '{"number": 2}', kind => 'scripted'),
                           holdfast.submit('b', '{"number": 2}', kind => 'scripted',
                                           run_at => clock_timestamp() + interval '1 second')
                    """
                )
                while try await workers.texts("select lock_key from holdfast.finished_jobs").count < 2 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                let early = """
                    select lock_key from holdfast.finished_jobs where state <> 'succeeded' or started_at < run_at
                    """
                #expect(try await workers.texts(early).isEmpty)
                #expect(try await workers.isSound())
            }
        }
    }

    @Test
    func `a worker that is ended puts what it runs back in line, with no attempt burned`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let id = try await workers.submit("k", 1)
            try await workers.withWorker(handler) { try await begun(id, workers) }
            let job = try await workers.job(id)
            #expect(job.state == .queued && job.attempt == 0)
            #expect(try await workers.attempts(of: id) == ["1 interrupted"])
            #expect(try await !workers.isLocked("k"))
            #expect(try await workers.isSound())
        }
    }
}
