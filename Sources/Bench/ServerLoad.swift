import Foundation
import Postgres

/// The processor time of a private PostgreSQL's processes, as the kernel counts it.
struct ServerLoad: Sendable {
    private let ticks: [Int32: Int]

    /// - Parameter database: Whose server is asked which processes it has.
    /// - Throws: `PostgresError`.
    init(of database: BenchDatabase) async throws {
        var ticks: [Int32: Int] = [:]
        for row in try await database.execute("select pid from pg_stat_activity") {
            let pid = Int32(try row.decode(Int.self, at: 0))
            ticks[pid] = Self.ticks(of: pid)
        }
        self.ticks = ticks
    }

    /// Seconds that the processes have used since `before`, those of them that still run.
    func seconds(since before: ServerLoad) -> Double {
        let used = ticks.reduce(0) { $0 + $1.value - (before.ticks[$1.key] ?? 0) }
        return Double(used) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func ticks(of pid: Int32) -> Int {
        // The name in brackets may hold blanks; after it the state is the first field, and utime and stime the 12th and 13th.
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return 0 }
        let fields = String(decoding: data, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12 else { return 0 }
        return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
    }
}
