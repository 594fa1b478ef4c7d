import Holdfast
import Postgres
import TestSupport
import Testing

/// What a job's way through the servers costs: counted, and not timed.
@Suite(.timeLimit(.minutes(10)))
struct PathCostTests {
    /// What is said now and then, however many jobs there are.
    private static let upkeep: Set<String> = [
        "bury_workers", "count_queues", "drop_partitions", "expire_idempotency_keys", "give_up_others", "heartbeat",
        "leave",
        "make_partitions", "next_worker", "notify", "orders", "promote", "queue_limits", "read_clock", "rescue",
        "seal_history", "unserved_kinds",
    ]
    /// By which of its statements each transaction on a job's path is known.
    private static let transactions = [
        ("a claim", "claim"), ("a settle", "settle"),
    ]

    @Test func `a job costs no more statements, commands and bytes than the table says`() async throws {
        var measured: [(String, Double)] = []
        try await CostSystem.with { system in
            try await system.pause(true)
            measured += try await submissions(system)
            try await system.withWorker {
                // What was submitted so far makes the worker's connections prepare their statements.
                try await system.pause(false)
                try await system.finishAll()
                measured += try await drain(system, "distinct keys", jobs: 1000) { "key-\($0)" }
                measured += try await drain(system, "runs", jobs: 1000) { "key-\($0 % 50)" }
                measured += try await drain(system, "one key", jobs: 200) { _ in "key" }
            }
        }
        CostTable.path.check(measured)
    }

    private func submissions(_ system: CostSystem) async throws -> [(String, Double)] {
        // Nobody runs the wake-ups: how many there are depends on the clock.
        let submissions = Submissions(
            store: JobStore(pool: system.pool),
            wakeups: Wakeups(pool: system.pool, logger: .quiet)
        )
        func job(_ key: String) throws -> NewJob { try NewJob(key: key, value: "value", durationMs: 0) }
        _ = try await submissions.submit(job("first"))
        var measured: [(String, Double)] = []
        for (name, count, size) in [("a batch of 1,000", 1, 1000), ("a single job", 100, 1)] {
            _ = system.wire.take()
            let before = try await system.reading()
            for number in 0..<count {
                if size == 1 {
                    _ = try await submissions.submit(job("single-\(number)"))
                } else {
                    _ = try await submissions.submitWhole((0..<size).map { try job("batch-\(number * size + $0)") })
                }
            }
            let after = try await system.reading()
            let path = onPath(system.wire.take())
            measured += [
                ("\(name): statements", Double(path.reduce(0) { $0 + $1.statements.count }) / Double(count)),
                ("\(name): round trips", Double(path.reduce(0) { $0 + $1.roundTrips }) / Double(count)),
                ("\(name): WAL bytes per job", Double(after.wal - before.wal) / Double(count * size)),
            ]
        }
        return measured
    }

    private func drain(
        _ system: CostSystem,
        _ name: String,
        jobs: Int,
        key: (Int) -> String
    ) async throws -> [(String, Double)] {
        try await system.pause(true)
        let store = JobStore(pool: system.pool)
        _ = try await store.enqueue((0..<jobs).map { try NewJob(key: key($0), value: "value", durationMs: 0) })
        _ = system.wire.take()
        let before = try await system.reading()
        try await system.pause(false)
        try await system.finishAll()
        let after = try await system.reading()
        let path = onPath(system.wire.take())
        let perJob = { (count: Int) in Double(count) / Double(jobs) }
        var measured = [
            ("\(name): statements", perJob(path.reduce(0) { $0 + $1.statements.count })),
            ("\(name): round trips", perJob(path.reduce(0) { $0 + $1.roundTrips })),
            ("\(name): Redis commands", perJob(after.redisCommands - before.redisCommands)),
            ("\(name): WAL bytes", perJob(after.wal - before.wal)),
            ("\(name): history rows", perJob(after.historyRows - before.historyRows)),
            ("\(name): bytes of history rows", perJob(after.historyRowBytes - before.historyRowBytes)),
            ("\(name): bytes of history on disk", perJob(after.historyDiskBytes - before.historyDiskBytes)),
        ]
        // What a transaction takes depends on nothing.
        if name == "distinct keys" { measured += transactions(path) }
        return measured
    }

    private func transactions(_ path: [WireCount.Unit]) -> [(String, Double)] {
        var measured: [(String, Double)] = []
        for (name, statement) in Self.transactions {
            let alike = Dictionary(grouping: path.filter { $0.statements.contains(statement) }, by: \.self)
            guard let commonest = alike.values.max(by: { $0.count < $1.count })?.first else {
                Issue.record("\(name) was not seen, or has no statement \(statement) any more: by which is it known?")
                continue
            }
            measured += [
                ("\(name): statements", Double(commonest.statements.count)),
                ("\(name): round trips", Double(commonest.roundTrips)),
            ]
        }
        return measured
    }

    private func onPath(_ units: [WireCount.Unit]) -> [WireCount.Unit] {
        units.filter { unit in
            // How often a claim finds nothing depends on the load.
            let isEmptyClaim = unit.statements.contains("claim_lines") && !unit.statements.contains("read_runs")
            return !isEmptyClaim && !Self.upkeep.isSuperset(of: unit.statements)
        }
    }
}
