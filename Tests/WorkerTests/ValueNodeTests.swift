import Holdfast
import LocalStack
import Logging
import Redis
import Redlock
import TestSupport
import Testing

/// What a worker does while the node with the values cannot be written to.
@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct ValueNodeTests {
    private let history = "select count(*)::text from holdfast.lock_history"

    /// Lends a value node of its own, and a worker that writes to it.
    private func withValueNode(
        _ body: (TestWorkers, RedisServer, RedisNode) async throws -> Void
    ) async throws {
        let server = try await TestServers.makeRedis(options: RedisServer.persistent)
        let connection = RedisNode(try RedisEndpoint(server.url), logger: .quiet)
        let node = ValueNode(connection, logger: .quiet)
        let result: Result<Void, any Error>
        do {
            try await TestWorkers.with { workers in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await connection.run() }
                    group.addTask { await node.run() }
                    defer { group.cancelAll() }
                    try await workers.withWorker(LockAndSet(values: ValueStore(node))) {
                        try await body(workers, server, connection)
                    }
                }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.stop()
        try result.get()
    }

    private func submit(_ workers: TestWorkers, _ key: String, _ value: String = "v") async throws -> JobID {
        var job = try NewJob(key: key, value: value)
        job.duration = .zero
        return try await Submissions(
            store: workers.database.store,
            wakeups: Wakeups(pool: workers.database.pool, logger: .quiet)
        )
        .submit(job).id
    }

    /// Waits until the worker says that it begins no job of the kind.
    private func heldUp(_ workers: TestWorkers, _ isHeldUp: Bool = true) async throws {
        let query = "select count(*)::text from holdfast.workers where 'lockAndSet' = any (held_up_kinds)"
        while try await workers.texts(query) != [isHeldUp ? "1" : "0"] { try await Task.sleep(for: .milliseconds(20)) }
    }

    @Test(arguments: [
        (on: ["REPLICAOF", "127.0.0.1", "1"], off: ["REPLICAOF", "NO", "ONE"], code: "READONLY"),
        (on: ["CONFIG", "SET", "maxmemory", "1"], off: ["CONFIG", "SET", "maxmemory", "0"], code: "OOM"),
        (on: ["ACL", "SETUSER", "default", "-mset"], off: ["ACL", "SETUSER", "default", "+mset"], code: "NOPERM"),
    ])
    func `while the value node refuses, nothing is claimed or recorded, and why says so; then all run`(
        on: [String],
        off: [String],
        code: String
    ) async throws {
        try await withValueNode { workers, _, node in
            #expect(try await workers.outcome(of: submit(workers, "before")).state == .succeeded)
            _ = try await node.send(RedisCommand(on[0], arguments: Array(on.dropFirst())), within: .seconds(30))
            try await heldUp(workers)
            let before = try await workers.texts(history)
            let fence = try await workers.texts("select last_value::text from holdfast.fence")
            var jobs: [JobID] = []
            for number in 1...20 { jobs.append(try await submit(workers, "k\(number)")) }
            let beat = "select beat::text from holdfast.workers"
            let first = try #require(Int(try await workers.texts(beat)[0]))
            while try #require(Int(try await workers.texts(beat)[0])) < first + 3 {
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await workers.texts(history) == before)
            #expect(try await workers.texts("select last_value::text from holdfast.fence") == fence)
            let why = try await workers.texts("select cause || ' ' || detail from holdfast.why_waiting(\(jobs[0]))")
            #expect(
                why.contains { $0.hasPrefix("held-up") && $0.contains(code) && $0.contains(node.endpoint.description) }
            )
            _ = try await node.send(RedisCommand(off[0], arguments: Array(off.dropFirst())), within: .seconds(30))
            for job in jobs {
                let outcome = try await workers.outcome(of: job)
                #expect(outcome.state == .succeeded && outcome.attempt == 1)
            }
            try await heldUp(workers, false)
        }
    }

    @Test
    func `a value node that has ended or is frozen is waited for`() async throws {
        try await withValueNode { workers, server, _ in
            #expect(try await workers.outcome(of: submit(workers, "before")).state == .succeeded)
            server.pause()
            try await heldUp(workers)
            server.resume()
            try await heldUp(workers, false)
            await server.kill()
            try await heldUp(workers)
            let job = try await submit(workers, "k")
            try await server.start()
            #expect(try await workers.outcome(of: job).state == .succeeded)
        }
    }

    @Test
    func `a key that cannot be written to fails its own attempts, and keeps nobody else`() async throws {
        try await withValueNode { workers, _, node in
            let fenceKey = FencedWrite.fencePrefix + "k"
            _ = try await node.send(RedisCommand("LPUSH", fenceKey, "no fence"), within: .seconds(30))
            var job = try NewJob(key: "k", value: "v")
            (job.duration, job.maxAttempts) = (.zero, 1)
            let submissions = Submissions(
                store: workers.database.store,
                wakeups: Wakeups(pool: workers.database.pool, logger: .quiet)
            )
            let outcome = try await workers.outcome(of: submissions.submit(job).id)
            #expect(outcome.state == .failed)
            #expect(outcome.error?.contains("WRONGTYPE") == true)
            #expect(try await workers.outcome(of: submit(workers, "other")).state == .succeeded)
        }
    }

    @Test
    func `values of more bytes than a connection takes are written one after the other`() async throws {
        try await withValueNode { workers, _, _ in
            let value = String(repeating: "x", count: 1_000_000)
            var jobs: [JobID] = []
            for number in 1...90 { jobs.append(try await submit(workers, "k\(number)", value)) }
            for job in jobs {
                let outcome = try await workers.outcome(of: job)
                #expect(outcome.state == .succeeded && outcome.attempt == 1)
            }
            let events = "select count(*)::text from holdfast.lock_history where event = 'acquired'"
            #expect(try await workers.texts(events) == ["90"])
        }
    }
}
