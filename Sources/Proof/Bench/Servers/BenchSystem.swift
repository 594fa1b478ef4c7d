import Foundation
import LocalStack

/// A private database and three lock nodes, the first of which keeps the values too.
struct BenchSystem: Sendable {
    let database: BenchDatabase
    let nodes: BenchNodes

    /// Starts servers while `body` runs.
    ///
    /// - Parameters:
    ///   - settings: Of PostgreSQL.
    ///   - nodeOptions: Arguments for the lock nodes.
    ///   - body: Is lent the servers.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or why there are no servers.
    static func with<Value: Sendable>(
        settings: [String] = [],
        nodeOptions: [String] = [],
        _ body: (BenchSystem) async throws -> Value
    ) async throws -> Value {
        try await BenchDatabase.with(settings: settings) { database in
            try await BenchNodes.with(3, options: nodeOptions) { nodes in
                try await body(BenchSystem(database: database, nodes: nodes))
            }
        }
    }

    /// Runs worker processes while `body` runs, and lets them finish what they run.
    func withWorkers<Value>(
        _ count: Int = 1,
        slots: Int = 1000,
        _ body: ([LocalProcess]) async throws -> Value
    ) async throws -> Value {
        let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        let urls = nodes.servers.map(\.url).joined(separator: ",")
        let arguments = [
            "worker", "--database-url", database.server.connectionString(), "--lock-nodes", urls, "--slots", "\(slots)",
        ]
        return try await withProcesses { processes in
            for _ in 0..<count { processes.append(try LocalProcess(program, arguments)) }
            return try await body(processes)
        }
    }

    /// Processor time and memory of all servers, and of some workers.
    func usage(with workers: [LocalProcess]) -> ProcessUsage {
        let servers = nodes.servers.compactMap(\.process) + [database.server.process].compactMap { $0 }
        return ProcessUsage(of: (servers + workers).map(\.pid), withDescendants: true)
    }
}

extension BenchSystem {
    /// Processor time that each kind of process has used so far.
    func cost(with workers: [LocalProcess]) -> JobCost {
        func microseconds(_ processes: [LocalProcess?]) -> Double {
            ProcessUsage(of: processes.compactMap { $0?.pid }, withDescendants: true).seconds * 1_000_000
        }
        return JobCost(
            worker: microseconds(workers),
            postgres: microseconds([database.server.process]),
            redis: microseconds(nodes.servers.map(\.process))
        )
    }
}

/// Ends the processes that `body` has started: by SIGTERM, or at once when `body` failed.
func withProcesses<Value>(_ body: (inout [LocalProcess]) async throws -> Value) async throws -> Value {
    var processes: [LocalProcess] = []
    let result: Result<Value, any Error>
    do {
        result = .success(try await body(&processes))
    } catch {
        result = .failure(error)
    }
    let signal = if case .failure = result { SIGKILL } else { SIGTERM }
    for process in processes { process.signal(signal) }
    for process in processes { await process.end(with: signal) }
    return try result.get()
}
