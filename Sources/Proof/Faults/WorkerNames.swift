import Holdfast
import Postgres
import Synchronization

/// Which process each worker number was: the list of workers, looked at while a run goes on.
final class WorkerNames: Sendable {
    private static let list = Statement(name: "faults_worker_names", sql: "select id, name from holdfast.workers")

    private let names = Mutex<[Int64: String]>([:])

    /// By number; `name/process`.
    var all: [Int64: String] { names.withLock { $0 } }

    /// Looks until the task is cancelled.
    func watch(_ pool: PostgresPool) async {
        while !Task.isCancelled {
            // The database is away now and then.
            if let rows = try? await pool.execute(Self.list, [], within: .seconds(1)) {
                for row in rows {
                    guard let id = try? row.decode(Int64.self, at: 0), let name = try? row.decode(String.self, at: 1)
                    else { continue }
                    names.withLock { $0[id] = name }
                }
            }
            try? await Task.sleep(for: .milliseconds(300))  // Cancelled: the loop ends.
        }
    }
}
