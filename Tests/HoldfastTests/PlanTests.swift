import Foundation
import Postgres
import TestSupport
import Testing

@testable import Holdfast

/// How the statements that each job needs find their rows.
@Suite(.freshDatabase, .timeLimit(.minutes(2)))
struct PlanTests {
    private var database: TestDatabase { FreshDatabase.current }

    private static let ofEachJob = [
        SettleStatements.lock, SettleStatements.finish, SettleStatements.retry, SettleStatements.moveOn,
        SettleStatements.parts, HistoryStatements.writeAhead, QueueStatements.claimLines, QueueStatements.isAnyReady,
        QueueStatements.readRuns,
    ]

    /// A key leads over all dead versions of its line.
    @Test(arguments: ofEachJob)
    func `what each job needs finds lines by claim or readiness, and jobs by line or id`(
        statement: Statement
    ) async throws {
        try await check(statement, linesBy: ["(queue =", "AND (fence =", "(ctid ="])
    }

    /// Plans are kept: one made while there are few jobs is used when there are many, or many dead ones.
    @Test(arguments: [100, 10_000], ofEachJob)
    func `so it does when statistics say that there are few jobs, or many`(
        count: Int,
        statement: Statement
    ) async throws {
        _ = try await database.store.enqueue((0..<count).map { try NewJob(key: "k\($0)", value: "v") })
        try await database.run("analyze holdfast.jobs, holdfast.key_lines")
        try await check(statement, linesBy: ["(queue =", "AND (fence =", "(ctid ="])
    }

    @Test(arguments: [SettleStatements.findStale, QueueStatements.countLines])
    func `what few jobs need finds lines by key`(statement: Statement) async throws {
        try await check(statement, linesBy: ["(lock_key ="])
    }

    /// Lines may be asked by what is given; other indexes lead over rows that are dead, or not wanted.
    private func check(_ statement: Statement, linesBy lineFinders: [String]) async throws {
        let finders = ["key_lines": lineFinders, "jobs": ["(lock_key =", "(id ="]]
        let scans = try await scans(of: statement).filter { finders[$0.table] != nil }
        #expect(!scans.isEmpty)
        for scan in scans {
            let isFound = finders[scan.table]?.contains { scan.condition.contains($0) } == true
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
        configuration.planning = .once
        let pool = PostgresPool(configuration: configuration, size: 1, logger: .quiet)
        defer { pool.close() }
        let count = (1...40).last { statement.sql.contains("$\($0)") } ?? 0
        let nulls = Array(repeating: "null", count: count).joined(separator: ", ")
        let json = try await pool.withConnection { connection in
            try await connection.executeScript(
                "prepare planned as \(statement.sql)"
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
                let conditions = ["Index Cond", "TID Cond", "Recheck Cond"].compactMap { node[$0] as? String }
                scans.append(Scan(table: table, condition: conditions.first ?? ""))
            }
            for child in node["Plans"] as? [[String: Any]] ?? [] { visit(child) }
        }
        let plans = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]]
        visit(try #require(plans?.first?["Plan"] as? [String: Any]))
        return scans
    }
}
