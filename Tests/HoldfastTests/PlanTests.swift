import Foundation
import Holdfast
import Logging
import Postgres
import Redlock
import Synchronization
import TestSupport
import Testing

/// How the statements that each job needs find their rows, those within the schema's functions too.
///
/// The server itself tells their plans, by its module auto_explain.
@Suite(.freshDatabase, .timeLimit(.minutes(5)))
struct PlanTests {
    private var database: TestDatabase { FreshDatabase.current }

    /// Whether the server has the module; Debian's has, while some that are packed for other ends come without modules.
    private var hasModule: Bool {
        get async throws {
            let error = try await postgresError { try await database.run("load 'auto_explain'") }
            if let error, error.sqlState != "58P01" { throw error }
            return error == nil
        }
    }

    /// A reading of a table in a plan.
    private struct Scan: Hashable, CustomStringConvertible {
        let table: String
        let node: String
        let index: String?
        let condition: String
        let statement: String

        var description: String { "\(table) by \(node) \(index ?? "") \(condition) in: \(statement)" }
    }

    /// Plans are kept: one made while a table is empty, or has few rows, is used when it has many, or many dead ones.
    @Test(arguments: [0, 100, 10_000])
    func `each finds lines by claim or turn, and jobs by line or id, whatever the statistics say`(count: Int)
        async throws
    {
        guard try await hasModule else {
            return print("The plans were not looked at: this PostgreSQL comes without its module auto_explain.")
        }
        if count > 0 {
            _ = try await database.store.enqueue((0..<count).map { try NewJob(key: "k\($0)", value: "v") })
        }
        try await database.run("vacuum analyze holdfast.jobs")
        try await database.run("vacuum analyze holdfast.key_lines")
        let scans = try await scans { try await livesOfJobs(on: $0) }
        // What they may be asked by; other indexes lead over rows that are dead, or not wanted.
        let finders = [
            "key_lines": [
                "(queue =", "AND (fence =", "(held_by >", "(held_by =", "(due_at", "(lock_key =", "Tid Scan",
            ],
            "jobs": ["(lock_key =", "(id =", "(run_at", "Tid Scan"],
        ]
        var seen: Set<String> = []
        for scan in scans {
            guard let allowed = finders[scan.table] else { continue }
            seen.insert(scan.table)
            let isFound = allowed.contains { scan.condition.contains($0) || scan.node.contains($0) }
            #expect(isFound, "\(scan)")
            // A key leads over all dead versions of its line: what each job needs looks for the claim's number, or a turn.
            let isOfEachJob = ["worker", "l_fences", "p.floor"].contains { scan.statement.contains($0) }
            #expect(!isOfEachJob || !scan.condition.contains("(lock_key =") || scan.table == "jobs", "\(scan)")
        }
        #expect(seen == ["key_lines", "jobs"])
    }

    /// Jobs come, run and end in all ways.
    private func livesOfJobs(on pool: PostgresPool) async throws {
        let store = JobStore(pool: pool)
        let registry = WorkerRegistry(pool: pool)
        let worker = try await registry.nextID()
        let description = WorkerRegistry.Description(name: "w", queues: ["plan"], kinds: ["plan"], slots: 1)
        try await registry.heartbeat(worker, description)
        func jobs(_ key: String, _ count: Int) throws -> [NewJob] {
            try (0..<count).map { _ in
                var job = try NewJob(key: key, value: "v")
                (job.queue, job.kind, job.duration) = ("plan", "plan", .zero)
                return job
            }
        }
        _ = try await store.enqueue(try jobs("a", 3) + jobs("b", 1) + jobs("c", 1))
        _ = try await pool.execute(Statement(name: "s", sql: "select holdfast.submit('a', 'v')", isPrepared: false))
        _ = try await pool.execute(Statement(name: "s", sql: "select holdfast.submit('d', 'v')", isPrepared: false))
        _ = try await store.enqueue(try jobs("a", 1))
        _ = try await registry.promote(linesSince: .negativeInfinity, jobsSince: .negativeInfinity, limit: 1000)
        var floors = ClaimFloors()
        let claims = try await store.claim(
            for: worker,
            queues: ["plan"],
            kinds: ["plan"],
            limit: 100,
            runLimit: 100,
            floors: &floors
        ).sorted { $0.key < $1.key }
        try #require(claims.count == 3)
        _ = try await store.begin(claims.map { Box(LockEvent(.acquired, $0.jobs[0], of: $0, at: .now)) })
        var part = Settlement(of: claims[0])
        part.record(LockEvent(.released, claims[0].jobs[0], of: claims[0], at: .now))
        part.finish(claims[0].jobs[0], .succeeded)
        part.acquired = Box(LockEvent(.acquired, claims[0].jobs[1], of: claims[0], at: .now))
        _ = try await store.settle([part])
        var ends = claims.map { Settlement(of: $0) }
        ends[1].finish(claims[1].jobs[0], .succeeded)
        ends[2].retry(claims[2].jobs[0], error: "e", after: .seconds(60))
        for index in ends.indices { ends[index].freesLine = true }
        _ = try await store.settle(Array(ends[1...]))
        _ = try await store.settle([ends[0]], .inDoubt)
        let again = try await store.claim(
            for: worker,
            queues: ["plan"],
            kinds: ["plan"],
            limit: 100,
            runLimit: 100,
            floors: &floors
        )
        try #require(!again.isEmpty)
        try await registry.store([], of: worker)
        _ = try await registry.giveUp(worker, except: [])
        try await registry.leave(worker)
        _ = try await registry.rescue()
    }

    /// The readings of tables in the plans of all that `body` does.
    private func scans(_ body: (PostgresPool) async throws -> Void) async throws -> Set<Scan> {
        let notices = Notices()
        let configuration = try PostgresConfiguration(
            connectionString: database.url + "&options=" + Self.options.joined(separator: "%20"),
            applicationName: "plans"
        )
        let pool = PostgresPool(configuration: configuration, size: 1, logger: Logger(label: "plans") { _ in notices })
        defer { pool.close() }
        try await body(pool)
        var scans: Set<Scan> = []
        for plan in notices.plans {
            guard let text = plan["Query Text"] as? String, let root = plan["Plan"] as? [String: Any] else { continue }
            Self.visit(root, text.split(separator: "\n").joined(separator: " "), &scans)
        }
        try #require(!scans.isEmpty)
        return scans
    }

    private static let options = [
        // As a worker's sessions have it.
        "enable_seqscan%3Doff", "jit%3Doff", "plan_cache_mode%3Dforce_generic_plan",
        "session_preload_libraries%3Dauto_explain", "auto_explain.log_min_duration%3D0",
        "auto_explain.log_format%3Djson",
        "auto_explain.log_nested_statements%3Don", "auto_explain.log_level%3Dnotice", "client_min_messages%3Dnotice",
    ].map { "-c%20\($0)" }

    private static func visit(_ node: [String: Any], _ statement: String, _ scans: inout Set<Scan>) {
        if let table = node["Relation Name"] as? String, let kind = node["Node Type"] as? String, kind.contains("Scan")
        {
            let conditions = ["Index Cond", "TID Cond", "Recheck Cond"].compactMap { node[$0] as? String }
            scans.insert(
                Scan(
                    table: table,
                    node: kind,
                    index: node["Index Name"] as? String,
                    condition: conditions.first ?? "",
                    statement: statement
                )
            )
        }
        for child in node["Plans"] as? [[String: Any]] ?? [] { visit(child, statement, &scans) }
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
