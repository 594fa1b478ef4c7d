import Holdfast
import NIOPosix
import Redis
import Synchronization
import TestSupport
import Testing
import Worker

/// What a worker does with a run of jobs.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct RunTests {
    private let ample = Duration.seconds(30)

    @Test
    func `each job of a run has a hold of its own, recorded after the end of the one before it`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let node = workers.nodes.nodes[0]
            _ = try await node.send(RedisCommand("SET", "locks:k", "foreign"), within: ample)
            // Before the worker starts, so that one run has them all.
            var jobs: [JobID] = []
            for number in 0..<5 { jobs.append(try await workers.submit("k", number)) }
            let ran = Mutex<[Int]>([])
            let handler = Scripted { payload, _ in ran.withLock { $0.append(payload.number) } }
            try await workers.withWorker(handler, configure: { $0.runTimeSlice = .seconds(3600) }) { () async throws in
                while try await workers.texts("select event from holdfast.lock_history").isEmpty {
                    try await Task.sleep(for: .milliseconds(10))
                }
                #expect(ran.withLock { $0.isEmpty })
                _ = try await node.send(RedisCommand("DEL", "locks:k"), within: ample)
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
            }
            #expect(ran.withLock { $0 } == Array(0..<5))
            let history = "select event || ' ' || job_id from holdfast.lock_history"
            let events = ["waiting \(jobs[0])"] + jobs.flatMap { ["acquired \($0)", "released \($0)"] }
            #expect(try await workers.texts(history + " order by id") == events)
            #expect(try await workers.texts(history + " order by at, id") == events)
            let tokens = try await workers.texts(
                "select token_digest::text from holdfast.lock_history where event = 'acquired'"
            )
            #expect(Set(tokens).count == jobs.count)
            #expect(try await workers.texts("select lock_key from holdfast.lock_overlaps") == [])
            #expect(try await workers.texts("select lock_key from holdfast.fence_regressions") == [])
            #expect(try await workers.isSound())
            #expect(try await !workers.isLocked("k"))
        }
    }

    @Test
    func `a job's own code does not run where lock nodes' answers come in`() async throws {
        try await TestWorkers.with { (workers) async throws in
            let loops = Mutex<[Bool]>([])
            let handler = Scripted { _, _ in
                loops.withLock { $0.append(MultiThreadedEventLoopGroup.currentEventLoop != nil) }
                await Task.yield()
                loops.withLock { $0.append(MultiThreadedEventLoopGroup.currentEventLoop != nil) }
            }
            var jobs: [JobID] = []
            // Those of one run, and one of another key.
            for key in ["k", "k", "k", "l"] { jobs.append(try await workers.submit(key)) }
            try await workers.withWorker(handler) { () async throws in
                for job in jobs { #expect(try await workers.outcome(of: job).state == .succeeded) }
            }
            #expect(loops.withLock { $0 } == Array(repeating: false, count: 2 * jobs.count))
        }
    }
}
