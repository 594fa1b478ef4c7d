import Holdfast
import LocalStack
import NIOCore
import Postgres
import Redis
import Redlock
import TestSupport
import Worker

/// A private PostgreSQL whose clients are listened to, and three lock nodes.
struct CostSystem: Sendable {
    /// What makes counts depend on the moment: full page images after a checkpoint, and vacuum.
    private static let settings = ["full_page_writes=off", "autovacuum=off", "checkpoint_timeout=1h"]

    /// For what is counted.
    let pool: PostgresPool
    let wire: WireCount
    private let counted: PostgresConfiguration
    /// For what is not.
    private let aside: PostgresPool
    private let nodes: TestNodes

    /// Starts servers while `body` runs.
    static func with(_ body: (CostSystem) async throws -> Void) async throws {
        var locking = RedlockConfiguration()
        // Nobody held a lock on these nodes before they were started.
        locking.quarantinesRestartedNodes = false
        // Probes would be counted.
        locking.probeInterval = .seconds(86_400)
        let postgres = try await PostgresServer.start(in: TestServers.makeFolder("costs"), settings: settings)
        try await TestNodes.with(3, options: [], configuration: locking) { nodes in
            let wire = WireCount()
            let proxy = try await TestProxy(to: SocketAddress(unixDomainSocketPath: postgres.socket)) { piece in
                wire.add(piece)
                piece.pass()
            }
            // As intakes and workers have it.
            var counted = try PostgresConfiguration(
                connectionString:
                    "host=127.0.0.1 port=\(proxy.port) user=holdfast dbname=postgres sslmode=disable gssencmode=disable"
            )
            counted.planning = .once
            let pool = PostgresPool(configuration: counted, size: 8, logger: .quiet)
            let aside = PostgresPool(
                configuration: try PostgresConfiguration(connectionString: postgres.connectionString()),
                size: 1,
                logger: .quiet
            )
            defer {
                pool.close()
                aside.close()
            }
            _ = try await Migrator(pool: aside, logger: .quiet).migrate()
            let system = CostSystem(pool: pool, wire: wire, counted: counted, aside: aside, nodes: nodes)
            // Nobody seals: how much of the history would be sealed meanwhile depends on the clock.
            _ = try await system.run("delete from holdfast.duties where name = 'seal'")
            try await body(system)
            // Its end closes it.
            withExtendedLifetime(proxy) {}
        }
        await postgres.stop()
    }

    /// Runs a worker while `body` runs.
    func withWorker(_ body: () async throws -> Void) async throws {
        let worker = Worker(
            configuration: WorkerConfiguration(),
            pool: pool,
            database: counted,
            redlock: nodes.redlock,
            handlers: [LockAndSet(values: ValueStore(node: nodes.nodes[0]))],
            logger: .quiet
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await worker.run() }
            try await body()
            group.cancelAll()
        }
    }

    /// Starts no job from now on, or starts them.
    func pause(_ isPaused: Bool) async throws {
        _ = try await run("select holdfast.\(isPaused ? "pause" : "resume")('default')")
    }

    /// Waits until no job is left.
    func finishAll() async throws {
        let end = ContinuousClock.now + .seconds(180)
        while try await run("select exists (select from holdfast.jobs)")[0].decode(Bool.self, at: 0) {
            guard ContinuousClock.now < end else { throw StillRunning() }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// What the servers have counted so far.
    func reading() async throws -> Reading {
        let row = try await run(
            """
            select (pg_current_wal_insert_lsn() - '0/0')::bigint,
                   (select count(*) from holdfast.lock_history),
                   (select coalesce(sum(pg_column_size(h.*)), 0)::bigint from holdfast.lock_history h),
                   (select sum(pg_total_relation_size(i.inhrelid))::bigint
                    from pg_inherits i
                    where i.inhparent = 'holdfast.lock_history'::regclass)
            """
        )[0]
        var commands = 0
        for node in nodes.nodes {
            let reply = try await node.send(RedisCommand("INFO", "commandstats"), within: .seconds(30))
            commands += Self.calls(in: reply.string ?? "")
        }
        return Reading(
            wal: try row.decode(Int.self, at: 0),
            historyRows: try row.decode(Int.self, at: 1),
            historyRowBytes: try row.decode(Int.self, at: 2),
            historyDiskBytes: try row.decode(Int.self, at: 3),
            redisCommands: commands
        )
    }

    /// How many commands a node has run, those of scripts included: `cmdstat_set:calls=12,usec=…` for each.
    private static func calls(in stats: String) -> Int {
        stats.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("cmdstat_info:") }
            .compactMap { $0.split(separator: ":calls=").last?.prefix(while: \.isNumber) }
            .compactMap { Int($0) }.reduce(0, +)
    }

    private func run(_ sql: String) async throws -> Rows {
        try await aside.execute(Statement(name: "costs", sql: sql, isPrepared: false), within: .seconds(60))
    }

    struct StillRunning: Error {}
}

/// What servers have counted up to a moment.
struct Reading {
    let wal: Int
    let historyRows: Int
    let historyRowBytes: Int
    let historyDiskBytes: Int
    let redisCommands: Int
}
