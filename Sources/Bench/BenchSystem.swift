import Foundation
import LocalStack

/// A private database and three lock nodes, the first of which keeps the values too.
struct BenchSystem: Sendable {
    let database: BenchDatabase
    let nodes: BenchNodes

    /// Starts servers while `body` runs.
    static func with<Value: Sendable>(
        _ body: @escaping @Sendable (BenchSystem) async throws -> Value
    ) async throws -> Value {
        try await BenchDatabase.with { database in
            try await BenchNodes.with(3, options: []) { nodes in
                try await body(BenchSystem(database: database, nodes: nodes))
            }
        }
    }

    /// Runs worker processes while `body` runs, and lets them finish what they run.
    func withWorkers<Value>(
        _ count: Int,
        slots: Int = 256,
        _ body: () async throws -> Value
    ) async throws -> Value {
        let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        let urls = nodes.servers.map(\.url).joined(separator: ",")
        let arguments = [
            "worker", "--database-url", database.server.connectionString(), "--lock-nodes", urls, "--slots", "\(slots)",
        ]
        var workers: [LocalProcess] = []
        let result: Result<Value, any Error>
        do {
            for _ in 0..<count { workers.append(try LocalProcess(program, arguments)) }
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        for worker in workers { await worker.end(with: SIGTERM) }
        return try result.get()
    }

    /// Waits until all jobs have finished.
    ///
    /// - Throws: ``BenchError`` when they have not within `limit`.
    func finishAll(within limit: Duration) async throws {
        let end = ContinuousClock.now.advanced(by: limit)
        while try await database.number("select count(*) from (select from holdfast.key_lines limit 1) l") > 0 {
            guard ContinuousClock.now < end else { throw BenchError(description: "jobs are left after \(limit)") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
