import Holdfast
import Redis
import Synchronization
import TestSupport
import Testing
import Worker

/// Brief jobs of one key that follow each other, under holds that they share.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct SharedHoldTests {
    /// The numbers of the jobs that ran, in order.
    private final class Runs: Sendable {
        private let numbers = Mutex<[Int]>([])

        func add(_ number: Int) { numbers.withLock { $0.append(number) } }
        var all: [Int] { numbers.withLock { $0 } }
    }

    /// One run has all jobs of a line, unless its time is over.
    private static func longRuns(_ configuration: inout WorkerConfiguration) {
        configuration.runTimeSlice = .seconds(3600)
        configuration.runLimit = 1000
    }

    /// Submits jobs that are declared to be brief, numbered from 0.
    private func submitBrief(
        _ count: Int,
        _ workers: TestWorkers,
        _ change: (Int, inout NewJob) -> Void = { _, _ in }
    ) async throws -> [JobID] {
        var jobs: [JobID] = []
        for number in 0..<count {
            let job = try await workers.submit("k", number) { job in
                job.duration = .milliseconds(10)
                change(number, &job)
            }
            jobs.append(job)
        }
        return jobs
    }

    private func expectSound(_ workers: TestWorkers) async throws {
        for view in ["lock_overlaps", "fence_regressions", "unclosed_holds"] {
            #expect(try await workers.texts("select lock_key from holdfast.\(view)") == [], "\(view)")
        }
        #expect(try await workers.isSound())
    }

    /// The numbers of the jobs that ended as `event`, of those in `jobs`, in the order of their ends.
    private func ended(_ event: String, _ jobs: [JobID], _ workers: TestWorkers) async throws -> [Int] {
        try await workers.texts(
            "select job_id::text from holdfast.lock_history where event = '\(event)' and lock_key = 'k' order by at, id"
        ).map { text in try #require(jobs.firstIndex { "\($0)" == text }) }
    }

    /// Waits until the worker has read what operators ask for: orders are read together.
    private func ordersAreRead(_ workers: TestWorkers) async throws {
        let probe = try await workers.submit("probe", -1)
        while try await workers.job(probe).state != .running { try await Task.sleep(for: .milliseconds(10)) }
        try await workers.run("select holdfast.cancel($1)", probe)
        #expect(try await workers.outcome(of: probe).state == .cancelled)
    }

    private func cancel(_ job: JobID, _ workers: TestWorkers) async throws -> String {
        try await workers.texts("select holdfast.cancel(\(job))")[0]
    }

    @Test
    func `brief jobs of a key run in order under few holds, and each has its own fence, end and start`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let jobs = try await submitBrief(30, workers)
            let handler = Scripted { payload, _ in runs.add(payload.number) }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
            }
            #expect(runs.all == Array(0..<30))
            let holds = try await workers.texts("select lock_key from holdfast.lock_history where event = 'acquired'")
                .count
            #expect(holds > 0 && holds < jobs.count)
            let passed = try await ended("passed", jobs, workers)
            let released = try await ended("released", jobs, workers)
            #expect((passed + released).sorted() == Array(0..<30))
            #expect(released.count == holds && released.last == 29)
            let fences = try await workers.texts(
                "select fence::text from holdfast.finished_jobs order by started_at, fence"
            ).compactMap { Int($0) }
            #expect(Set(fences).count == 30 && fences == fences.sorted())
            // Of each job: the acquisition of the hold that served it, and its end.
            let disorder = try await workers.texts(
                """
                select f.id::text
                from (select *, lag(started_at) over (order by id) as started_before from holdfast.finished_jobs) f
                join holdfast.lock_history e on e.job_id = f.id and holdfast.is_end(e.event)
                cross join lateral (
                    select a.at from holdfast.lock_history a
                    where a.event = 'acquired' and f.fence = any (coalesce(a.fences, array[a.fence]))
                    order by a.at desc limit 1) a
                where f.started_at < a.at or f.started_at > e.at or e.at < a.at or f.started_at < f.started_before
                    or e.fence <> f.fence or e.outcome <> 'succeeded'
                """
            )
            #expect(disorder == [])
            #expect(try await workers.texts("select job_id::text from holdfast.lock_holds").count == 30)
            try await expectSound(workers)
            #expect(try await !workers.isLocked("k"))
        }
    }

    @Test
    func `a job that is not brief has a hold of its own between those that others share`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let jobs = try await submitBrief(21, workers) { if $0 == 10 { $1.duration = .milliseconds(51) } }
            let handler = Scripted { payload, _ in runs.add(payload.number) }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
            }
            #expect(runs.all == Array(0..<21))
            let naming = try await workers.texts(
                """
                select concat_ws(' ', job_id, jobs is null) from holdfast.lock_history
                where event = 'acquired' and \(jobs[10]) = any (coalesce(jobs, array[job_id]))
                """
            )
            #expect(naming == ["\(jobs[10]) t"])
            let passed = try await ended("passed", jobs, workers)
            #expect(!passed.isEmpty && !passed.contains(9) && !passed.contains(10) && !passed.contains(20))
            try await expectSound(workers)
        }
    }

    @Test
    func `a job that was begun before has a hold of its own, as its attempt may count for another's death`()
        async throws
    {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let jobs = try await submitBrief(21, workers)
            // As when a worker has died.
            try await workers.run("update holdfast.jobs set attempt = 1 where id = $1", jobs[0])
            let handler = Scripted { payload, _ in runs.add(payload.number) }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
            }
            #expect(runs.all == Array(0..<21))
            #expect(try await workers.attempts(of: jobs[0]) == ["2 succeeded"])
            let passed = try await ended("passed", jobs, workers)
            #expect(!passed.isEmpty && !passed.contains(0))
            try await expectSound(workers)
        }
    }

    @Test
    func `a job that fails ends the hold it shares, and those behind it keep their places and run later`() async throws
    {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let jobs = try await submitBrief(30, workers)
            let handler = Scripted { payload, context in
                runs.add(payload.number)
                if payload.number == 20, context.attempt == 1 { throw TaskEnd.retried(after: .zero, "it broke") }
            }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
            }
            #expect(runs.all == Array(0...20) + Array(20..<30))
            #expect(try await workers.attempts(of: jobs[20]) == ["1 failed", "2 succeeded"])
            for job in jobs[..<20] + jobs[21...] { #expect(try await workers.attempts(of: job) == ["1 succeeded"]) }
            // Under the hold that it ended, all before it had passed it on.
            let hold = try await workers.texts(
                """
                select array_to_string(a.jobs, ' ') from holdfast.lock_history e
                cross join lateral (
                    select a.jobs from holdfast.lock_history a
                    where a.event = 'acquired' and e.fence = any (a.fences) order by a.at desc limit 1) a
                where e.job_id = \(jobs[20]) and e.outcome = 'failed'
                """
            )
            let named = hold.flatMap { $0.split(separator: " ") }.compactMap { text in
                jobs.firstIndex { "\($0)" == String(text) }
            }
            let passed = try await ended("passed", jobs, workers)
            #expect(named.filter { $0 < 20 }.allSatisfy(passed.contains) && passed.contains { $0 < 20 })
            try await expectSound(workers)
        }
    }

    @Test
    func `a job that is cancelled behind others under one hold does not run`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let gate = Mutex(false)
            let jobs = try await submitBrief(10, workers)
            let handler = Scripted { payload, _ in
                if payload.number < 0 { try await Task.sleep(for: .seconds(3600)) }
                runs.add(payload.number)
                while payload.number == 0, !gate.withLock(\.self) { try await Task.sleep(for: .milliseconds(5)) }
            }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                while runs.all.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
                // The hold names it.
                #expect(try await cancel(jobs[5], workers) == "running")
                try await ordersAreRead(workers)
                gate.withLock { $0 = true }
                for (number, job) in jobs.enumerated() {
                    #expect(try await workers.outcome(of: job).state == (number == 5 ? .cancelled : .succeeded))
                }
            }
            #expect(runs.all == [0, 1, 2, 3, 4, 6, 7, 8, 9])
            try await expectSound(workers)
        }
    }

    @Test
    func `whatever is cancelled while a line is worked off has not run if that was answered with cancelled`()
        async throws
    {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let answers = Mutex<[Int: String]>([:])
            let jobs = try await submitBrief(60, workers)
            let handler = Scripted { payload, _ in
                runs.add(payload.number)
                let other = payload.number + 1 + payload.number % 3
                guard payload.number % 2 == 0, other < 60 else { return }
                let answer = try await cancel(jobs[other], workers)
                answers.withLock { $0[other] = answer }
            }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                for (number, job) in jobs.enumerated() {
                    let state = try await workers.outcome(of: job).state
                    #expect(state == .succeeded || state == .cancelled)
                    // One that has run and was to be cancelled may have done so in time.
                    #expect(state == .cancelled || runs.all.contains(number))
                }
            }
            #expect(runs.all == runs.all.sorted() && Set(runs.all).count == runs.all.count)
            let all = answers.withLock { $0 }
            #expect(all.values.allSatisfy { ["running", "cancelled", "succeeded"].contains($0) })
            for (number, answer) in all where answer == "cancelled" {
                #expect(!runs.all.contains(number))
                #expect(try await workers.job(jobs[number]).state == .cancelled)
            }
            try await expectSound(workers)
        }
    }

    /// The one that is cancelled, of ten brief jobs behind a long one.
    @Test(arguments: [1, 5, 10])
    func `a job that is cancelled between its claim and its hold is skipped, and the others run`(number: Int)
        async throws
    {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let gate = Mutex(false)
            // In one claim with the brief ones, and under a hold of its own.
            let jobs = try await submitBrief(11, workers) { if $0 == 0 { $1.duration = .seconds(10) } }
            let handler = Scripted { payload, _ in
                runs.add(payload.number)
                while payload.number == 0, !gate.withLock(\.self) { try await Task.sleep(for: .milliseconds(5)) }
            }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                while runs.all.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
                #expect(try await cancel(jobs[number], workers) == "cancelled")
                gate.withLock { $0 = true }
                for (other, job) in jobs.enumerated() {
                    #expect(try await workers.outcome(of: job).state == (other == number ? .cancelled : .succeeded))
                }
            }
            #expect(runs.all == (0...10).filter { $0 != number })
            #expect(try await workers.attempts(of: jobs[number]) == [])
            let acquisitions = "select job_id::text from holdfast.lock_history where event = 'acquired'"
            #expect(try await workers.texts(acquisitions + " and \(jobs[number]) = any (jobs)") == [])
            try await expectSound(workers)
        }
    }

    @Test
    func `a foreign client waits for a slice of a long line, and not for all of it`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            // Their declared durations would end the run too.
            let jobs = try await submitBrief(400, workers) { $1.duration = .zero }
            let handler = Scripted { payload, _ in
                runs.add(payload.number)
                try await Task.sleep(for: .milliseconds(5))
            }
            let node = workers.nodes.nodes[0]
            let slices: (inout WorkerConfiguration) -> Void = { configuration in
                configuration.runTimeSlice = .milliseconds(200)
                configuration.runLimit = 1000
            }
            let waited = try await workers.withWorker(handler, configure: slices) { () async throws in
                while runs.all.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
                let first = runs.all.count
                while true {
                    let set = RedisCommand("SET", "locks:k", "foreign", "NX", "PX", "20")
                    if try await !node.send(set, within: .seconds(30)).isNull { break }
                }
                let waited = runs.all.count - first
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
                return waited
            }
            #expect(runs.all == Array(0..<400))
            // A slice of 200 ms has 40 jobs of 5 ms, and one more: five slices.
            #expect(waited <= 5 * 41)
            try await expectSound(workers)
        }
    }

    @Test
    func `a time limit of a job is its own, under a hold that others share`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let runs = Runs()
            let jobs = try await submitBrief(6, workers) { number, job in
                if number == 0 || number == 2 { (job.timeout, job.maxAttempts) = (.milliseconds(500), 1) }
                if number == 3 { job.timeout = .seconds(3600) }
            }
            let handler = Scripted { payload, _ in
                runs.add(payload.number)
                switch payload.number {
                // Longer than the limit of the job before it.
                case 1, 3: try await Task.sleep(for: .milliseconds(700))
                case 2: try await Task.sleep(for: .seconds(3600))
                default: break
                }
            }
            try await workers.withWorker(handler, configure: Self.longRuns) { () async throws in
                for (number, job) in jobs.enumerated() {
                    #expect(try await workers.outcome(of: job).state == (number == 2 ? .failed : .succeeded))
                }
            }
            #expect(runs.all == Array(0..<6))
            #expect(try await workers.attempts(of: jobs[2]) == ["1 overrun"])
            #expect(try await ended("overrun", jobs, workers) == [2])
            for number in [0, 1, 3, 4, 5] {
                #expect(try await workers.attempts(of: jobs[number]) == ["1 succeeded"])
            }
            try await expectSound(workers)
        }
    }
}
