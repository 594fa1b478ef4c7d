import Foundation
import Postgres
import TestSupport
import Testing

@testable import Holdfast

/// How the statements that each job needs find their rows, planned while their tables are empty: so are the plans that an
/// idle worker's connections keep.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct PlanTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// What the live tables may be asked by; other indexes lead over rows that are dead, or not wanted.
    private static let finders = ["key_lines": ["lock_key =", "queue ="], "jobs": ["lock_key =", "id ="]]

    @Test(arguments: [
        SettleStatements.lock, SettleStatements.findStale, SettleStatements.finish, SettleStatements.retry,
        SettleStatements.moveOn, HistoryStatements.writeAhead, QueueStatements.claimLines, QueueStatements.isAnyReady,
        QueueStatements.readRuns, QueueStatements.countLines,
    ])
    func `lines and jobs are found by key, place in line, or id`(statement: Statement) async throws {
        let scans = try await scans(of: statement).filter { Self.finders[$0.table] != nil }
        #expect(!scans.isEmpty)
        for scan in scans {
            let isFound = Self.finders[scan.table]?.contains { scan.condition.contains("(\($0)") } == true
            #expect(isFound, "\(statement.name): \(scan)")
        }
    }

    private struct Scan {
        let table: String
        let condition: String
    }

    /// The readings of tables in a statement's plan for parameters that are not known.
    private func scans(of statement: Statement) async throws -> [Scan] {
        var configuration = try database.configuration()
        configuration.avoidsTableScans = true
        let pool = PostgresPool(configuration: configuration, size: 1, logger: .quiet)
        defer { pool.close() }
        let count = (1...20).last { statement.sql.contains("$\($0)") } ?? 0
        let nulls = Array(repeating: "null", count: count).joined(separator: ", ")
        let json = try await pool.withConnection { connection in
            try await connection.executeScript(
                "set plan_cache_mode = force_generic_plan; prepare planned as \(statement.sql)"
            )
            let explain = Statement(
                name: "explain",
                sql: "explain (format json) execute planned\(nulls.isEmpty ? "" : "(\(nulls))")",
                isPrepared: false
            )
            return try await connection.execute(explain)[0].decode(String.self, at: 0)
        }
        var scans: [Scan] = []
        func visit(_ node: [String: Any]) {
            if let table = node["Relation Name"] as? String, let kind = node["Node Type"] as? String,
                kind.contains("Scan")
            {
                let recheck = node["Recheck Cond"] as? String
                scans.append(Scan(table: table, condition: node["Index Cond"] as? String ?? recheck ?? ""))
            }
            for child in node["Plans"] as? [[String: Any]] ?? [] { visit(child) }
        }
        let plans = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]]
        visit(try #require(plans?.first?["Plan"] as? [String: Any]))
        return scans
    }
}
