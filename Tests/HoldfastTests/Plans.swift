import Foundation
import Logging
import Postgres
import Synchronization
import TestSupport
import Testing

/// What a server tells of how it carried statements out, those within functions too: by its module auto_explain.
struct Plans {
    /// A reading of a table in a plan.
    struct Scan: Hashable, CustomStringConvertible {
        let table: String
        let node: String
        let index: String?
        let condition: String
        let statement: String
        /// How many rows it read, those that a filter kept out included.
        let rows: Int
        /// Which of all plans it is in.
        let plan: Int

        var description: String { "\(table) by \(node) \(index ?? "") \(condition), \(rows) rows, in: \(statement)" }
    }

    let database: TestDatabase

    /// Whether the server has the module; Debian's has, while some that are packed for other ends come without modules.
    var areShown: Bool {
        get async throws {
            let error = try await postgresError { try await database.run("load 'auto_explain'") }
            if let error, error.sqlState != "58P01" { throw error }
            if error != nil {
                print("The plans were not looked at: this PostgreSQL comes without its module auto_explain.")
            }
            return error == nil
        }
    }

    /// The readings of tables in all that `body` does.
    ///
    /// - Parameters:
    ///   - settings: Of the session, besides those of auto_explain.
    ///   - body: Given a pool of one connection.
    /// - Returns: Each reading of each plan.
    /// - Throws: What `body` throws.
    func scans(_ settings: [String], _ body: (PostgresPool) async throws -> Void) async throws -> Set<Scan> {
        let notices = Notices()
        let options = (settings + Self.settings).map { "-c%20" + $0.replacing("=", with: "%3D") }
        let configuration = try PostgresConfiguration(
            connectionString: database.url + "&options=" + options.joined(separator: "%20"),
            applicationName: "plans"
        )
        let pool = PostgresPool(configuration: configuration, size: 1, logger: Logger(label: "plans") { _ in notices })
        defer { pool.close() }
        try await body(pool)
        var scans: Set<Scan> = []
        for (number, plan) in notices.plans.enumerated() {
            guard let text = plan["Query Text"] as? String, let root = plan["Plan"] as? [String: Any] else { continue }
            Self.visit(root, number, text.split(separator: "\n").joined(separator: " "), &scans)
        }
        return scans
    }

    private static let settings = [
        "session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0", "auto_explain.log_analyze=on",
        "auto_explain.log_timing=off", "auto_explain.log_format=json", "auto_explain.log_nested_statements=on",
        "auto_explain.log_level=notice", "client_min_messages=notice",
    ]

    private static func visit(_ node: [String: Any], _ plan: Int, _ statement: String, _ scans: inout Set<Scan>) {
        if let table = node["Relation Name"] as? String, let kind = node["Node Type"] as? String, kind.contains("Scan")
        {
            let conditions = ["Index Cond", "TID Cond", "Recheck Cond"].compactMap { node[$0] as? String }
            let rows = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"]
                .reduce(0) { $0 + ((node[$1] as? NSNumber)?.doubleValue ?? 0) }
            scans.insert(
                Scan(
                    table: table,
                    node: kind,
                    index: node["Index Name"] as? String,
                    condition: conditions.first ?? "",
                    statement: statement,
                    rows: Int(rows * ((node["Actual Loops"] as? NSNumber)?.doubleValue ?? 0)),
                    plan: plan
                )
            )
        }
        for child in node["Plans"] as? [[String: Any]] ?? [] { visit(child, plan, statement, &scans) }
    }
}

/// Keeps the plans that a server tells in its notices.
private final class Notices: LogHandler {
    private let kept = Mutex<[String]>([])
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    var plans: [[String: Any]] {
        kept.withLock { $0 }.compactMap { text in
            guard let start = text.firstIndex(of: "{") else { return nil }
            return try? JSONSerialization.jsonObject(with: Data(text[start...].utf8)) as? [String: Any]
        }
    }

    func log(event: LogEvent) {
        if let notice = event.metadata?["db.notice"] { kept.withLock { $0.append("\(notice)") } }
    }
}
