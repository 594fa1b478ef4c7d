import Holdfast
import Logging
import Postgres
import Redis
import Redlock
import TestSupport
import Worker

/// A handler whose task is the test's.
struct Scripted: TaskHandler {
    struct Payload: Codable, Sendable { var number: Int }

    static let kind = "scripted"
    let body: @Sendable (Payload, TaskContext) async throws -> Void

    func run(_ payload: Payload, _ context: TaskContext) async throws { try await body(payload, context) }
}

/// A database and a lock node, and workers of this process on them.
struct TestWorkers: Sendable {
    let database: TestDatabase
    let nodes: TestNodes

    static func with<Value: Sendable>(_ body: (TestWorkers) async throws -> Value) async throws -> Value {
        try await TestNodes.with(1) { nodes in
            try await body(TestWorkers(database: FreshDatabase.current, nodes: nodes))
        }
    }

    /// Runs a worker while `body` runs, and shuts it down by cancelling it.
    func withWorker<Value: Sendable>(
        _ handlers: any TaskHandler...,
        configure: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: () async throws -> Value
    ) async throws -> Value {
        var configuration = WorkerConfiguration()
        // Notifications, and not polls, are to be what wakes it.
        configuration.pollInterval = .seconds(1)
        configure(&configuration)
        let worker = Worker(
            configuration: configuration,
            pool: database.pool,
            database: try database.configuration(),
            redlock: nodes.redlock,
            handlers: handlers,
            logger: .quiet
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await worker.run() }
            let value = try await body()
            group.cancelAll()
            return value
        }
    }

    /// Submits a job for ``Scripted``.
    func submit(_ key: String, _ number: Int = 0, _ change: (inout NewJob) -> Void = { _ in }) async throws -> JobID {
        var job = try NewJob(key: key, value: #"{"number": \#(number)}"#)
        job.kind = Scripted.kind
        change(&job)
        let submissions = Submissions(store: database.store, wakeups: Wakeups(pool: database.pool, logger: .quiet))
        return try await submissions.submit(job).id
    }

    func job(_ id: JobID) async throws -> Job {
        guard let job = try await database.store.find(id) else { throw NoSuchJob(id: id) }
        return job
    }

    /// Waits for a job's end.
    func outcome(of id: JobID) async throws -> Job {
        while true {
            let job = try await job(id)
            if job.state.isFinished { return job }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    func run(_ sql: String, _ job: JobID? = nil) async throws {
        _ = try await database.pool.execute(
            Statement(name: "test", sql: sql, isPrepared: false),
            job.map { [.int64($0.rawValue)] } ?? []
        )
    }

    func texts(_ sql: String) async throws -> [String] {
        try await database.pool.execute(Statement(name: "test", sql: sql, isPrepared: false)).map {
            try $0.decode(String.self, at: 0)
        }
    }

    /// What became of a job's attempts, as in `1 failed`.
    func attempts(of job: JobID) async throws -> [String] {
        try await texts(
            """
            select attempt || ' ' || coalesce(outcome, 'runs') from holdfast.job_attempts
            where job_id = \(job) order by fence
            """
        )
    }

    /// Whether the lock of a key is taken on the node.
    func isLocked(_ key: String) async throws -> Bool {
        try await nodes.nodes[0].send(RedisCommand("EXISTS", "locks:\(key)"), within: .seconds(30)).int == 1
    }

    func isSound() async throws -> Bool { try await texts("select problem from holdfast.doctor()").isEmpty }
}

struct NoSuchJob: Error { let id: JobID }
