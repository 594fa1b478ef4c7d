import Foundation
import Holdfast
import LocalStack
import Postgres
import TestSupport

/// A stack of the test's own, and processes of the program that work on it.
final class TestSystem: Sendable {
    let stack: LocalStack
    /// Has every commit that was answered; `nil` unless the test asked for one.
    let standby: PostgresServer?
    let pool: PostgresPool

    private init(_ stack: LocalStack, _ standby: PostgresServer?) throws {
        self.stack = stack
        self.standby = standby
        let url = Self.databaseURL(stack, standby)
        pool = PostgresPool(
            configuration: try PostgresConfiguration(connectionString: url, applicationName: "test"),
            size: 4,
            logger: .quiet
        )
    }

    /// Starts a stack, migrates it by the program, lends it, and ends everything that was started on it.
    ///
    /// - Parameters:
    ///   - hasStandby: Whether its database has a synchronous standby.
    ///   - body: What is done with it.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or what kept a server from its start.
    static func with<Value: Sendable>(
        hasStandby: Bool = false,
        _ body: (TestSystem) async throws -> Value
    ) async throws -> Value {
        let stack = try await TestServers.makeStack()
        let standby = hasStandby ? try await stack.postgres.startStandby(in: "\(stack.folder)/standby") : nil
        return try await with(stack, standby: standby, body)
    }

    /// As ``with(hasStandby:_:)``, on servers that run already, and are ended with what was started on them.
    static func with<Value: Sendable>(
        _ stack: LocalStack,
        standby: PostgresServer? = nil,
        _ body: (TestSystem) async throws -> Value
    ) async throws -> Value {
        let system = try TestSystem(stack, standby)
        let result: Result<Value, any Error>
        do {
            try await Program.run(["migrate"], environment: system.environment)
            for role in ["holdfast_intake", "holdfast_worker", "holdfast_auditor"] {
                _ = try await system.pool.execute(
                    Statement(name: "login", sql: "alter role \(role) login", isPrepared: false)
                )
            }
            result = .success(try await body(system))
        } catch {
            result = .failure(error)
        }
        system.pool.close()
        // First: a primary that stops in order waits until its standby has everything.
        await system.stack.stop()
        await standby?.stop()
        return try result.get()
    }

    var environment: [String: String] {
        [
            "HOLDFAST_DATABASE_URL": Self.databaseURL(stack, standby),
            "HOLDFAST_LOCK_NODES": stack.nodes.map(\.url).joined(separator: ","),
            "HOLDFAST_INTAKE_SIMULATED_JOB_MS": "700",
        ]
    }

    /// As ``environment``, with a role's own rights.
    func environment(for role: String) -> [String: String] {
        environment.merging(["HOLDFAST_DATABASE_URL": Self.databaseURL(stack, standby, role)]) { $1 }
    }

    /// Names the standby too, if there is one.
    private static func databaseURL(_ stack: LocalStack, _ standby: PostgresServer?, _ role: String = "holdfast")
        -> String
    {
        guard let standby else { return stack.databaseURL(for: role) }
        return stack.postgres.connectionString(or: standby, database: LocalStack.database, user: role)
    }

    /// Lends an intake that listens; ends it then, if the body has not.
    func withIntake<Value: Sendable>(
        _ arguments: [String] = [],
        _ body: (IntakeProcess) async throws -> Value
    ) async throws -> Value {
        let port = FreePort.find()
        let program = try Program(
            ["serve", "--port", "\(port)"] + arguments,
            environment: environment(for: "holdfast_intake")
        )
        let intake = IntakeProcess(program: program, base: "http://127.0.0.1:\(port)")
        return try await program.whileRunning {
            try await eventually("the intake listens") { !FreePort.isFree(port) || !program.process.isRunning }
            return try await body(intake)
        }
    }

    /// Makes a token by the program.
    func makeToken(_ name: String, _ scopes: String, arguments: [String] = []) async throws -> String {
        try await Program.run(["tokens", "create", name, "--scopes", scopes] + arguments, environment: environment)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Lends a worker that has registered; ends it then, if the body has not.
    func withWorker<Value: Sendable>(
        _ name: String = "worker",
        arguments: [String] = [],
        _ body: (Program) async throws -> Value
    ) async throws -> Value {
        let program = try Program(
            ["work", "--name", name] + arguments,
            environment: environment(for: "holdfast_worker")
        )
        return try await program.whileRunning {
            try await eventually("worker \(name) has registered") {
                try await self.count("select count(*) from holdfast.workers where name = '\(name)'") > 0
            }
            return try await body(program)
        }
    }

    /// Lends a worker's health port, where it shows what it counts.
    func withMeasuredWorker<Value: Sendable>(_ body: (IntakeProcess) async throws -> Value) async throws -> Value {
        let port = FreePort.find()
        return try await withWorker(arguments: ["--health-port", "\(port)"]) { worker in
            try await eventually("it listens") { !FreePort.isFree(port) }
            return try await body(IntakeProcess(program: worker, base: "http://127.0.0.1:\(port)"))
        }
    }

    /// Lends so many workers.
    func withWorkers<Value: Sendable>(_ count: Int, _ body: () async throws -> Value) async throws -> Value {
        guard count > 0 else { return try await body() }
        return try await withWorker("worker-\(count)") { _ in try await withWorkers(count - 1, body) }
    }

    /// The number that a query gives.
    func count(_ sql: String) async throws -> Int {
        try await pool.execute(Statement(name: "count", sql: sql, isPrepared: false))[0].decode(Int.self, at: 0)
    }

    /// The first column of a query, as text.
    func texts(_ sql: String) async throws -> [String] {
        try await pool.execute(Statement(name: "texts", sql: sql, isPrepared: false)).map { row in
            try row.decode(String.self, at: 0)
        }
    }

    /// The events of a job's history, in order.
    func events(of job: Int64) async throws -> [String] {
        try await texts("select event::text from holdfast.lock_history where job_id = \(job) order by id")
    }

    /// Waits until a job has finished; returns its state.
    func outcome(of job: Int64) async throws -> Job {
        let store = JobStore(pool: pool)
        return try await eventually("job \(job) has finished") {
            try await store.find(JobID(job)).flatMap { $0.state.isFinished ? $0 : nil }
        }
    }
}

struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Asks again and again until `condition` gives something; the test's time limit is the limit.
@discardableResult
func eventually<Value>(_ what: String, _ condition: () async throws -> Value?) async throws -> Value {
    while true {
        if let value = try await condition() { return value }
        // Between two looks at what another process does there is no event to wait for.
        do { try await Task.sleep(for: .milliseconds(20)) } catch { throw NeverHappened(description: what) }
    }
}

/// Asks again and again until `condition` holds; the test's time limit is the limit.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    try await eventually(what) { try await condition() ? () : nil }
}
