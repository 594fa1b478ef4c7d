import ArgumentParser
import Holdfast
import Postgres
import Redlock

/// The command `holdfast-bench depth`.
struct Depth: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What a job costs the database, by how many wait, and on how many keys.",
        discussion: """
            Stores so many jobs, then stores, claims, records and settles more of them in batches of 500 over one connection \
            at a time, as a worker does, without locks and tasks. Prints jobs a second, and the plan of the claim.
            """
    )

    @Option(help: "How many jobs wait: numbers separated by commas.")
    var waiting = "1000,1000000"

    @Option(help: "How many jobs are measured at each depth.")
    var jobs = 20_000

    @Option(help: "The most jobs of one key in one claim.")
    var runLimit = 1

    @Flag(help: "Print the plan of the claim at each depth.")
    var plans = false

    private func depths() throws -> [Int] {
        try waiting.split(separator: ",").map { text in
            guard let number = Int(text), (1...100_000_000).contains(number) else {
                throw ValidationError("--waiting must be numbers from 1 to 100000000, separated by commas.")
            }
            return number
        }
    }

    func validate() throws {
        _ = try depths()
        guard (1...1000).contains(runLimit) else { throw ValidationError("--run-limit must be from 1 to 1000.") }
        guard (500...10_000_000).contains(jobs) else { throw ValidationError("--jobs must be from 500 to 10000000.") }
    }

    func run() async throws {
        print("waiting   keys      stored/s  settled/s  of a job, µs: claim, record, settle")
        for depth in try depths() {
            for keys in Set([min(1000, depth), depth]).sorted() {
                try await BenchDatabase.with { database in
                    let depthText = String(depth).padded(8)
                    try await database.fill(depth, keys: keys, prefix: "key")
                    _ = try await database.execute("analyze holdfast.jobs")
                    _ = try await database.execute("analyze holdfast.key_lines")
                    let start = ContinuousClock.now
                    for batch in 0..<jobs / 500 {
                        _ = try await database.store.enqueue(
                            (0..<500).map { try NewJob(key: "key-\((batch * 500 + $0) % keys)", value: "v") }
                        )
                    }
                    let stored = Double(jobs) / start.duration(to: .now).seconds
                    let cost = try await drain(database)
                    let parts = [cost.claim, cost.record, cost.settle].map { $0.short.padded(9) }.joined()
                    let rates = "\(Int(stored).description.padded(10))\(Int(cost.rate).description.padded(11))"
                    print("\(depthText)  \(String(keys).padded(8))  \(rates)\(parts)")
                    if plans { try await printPlan(database) }
                }
            }
        }
    }

    /// What draining cost, in microseconds a job.
    private struct Cost {
        var claim = 0.0
        var record = 0.0
        var settle = 0.0

        var rate: Double { 1_000_000 / (claim + record + settle) }
    }

    private func drain(_ database: BenchDatabase) async throws -> Cost {
        let clock = ContinuousClock()
        var times = (claim: Duration.zero, record: Duration.zero, settle: Duration.zero)
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        let history = LockHistory(pool: database.pool)
        var floors = ClaimFloors()
        var done = 0
        while done < jobs {
            try await registry.heartbeat(worker, name: "bench", queues: ["default"], kinds: [], slots: 500)
            let start = clock.now
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                limit: 500,
                runLimit: runLimit,
                floors: &floors
            )
            guard !claims.isEmpty else { break }
            let claimed = clock.now
            var settlements: [Settlement] = []
            try await withThrowingTaskGroup(of: Void.self) { group in
                for claim in claims {
                    for job in claim.jobs {
                        group.addTask { _ = try await history.append(LockEvent(.acquired, job, of: claim, at: .now)) }
                    }
                }
                try await group.waitForAll()
            }
            let recorded = clock.now
            for claim in claims {
                var settlement = Settlement(of: claim)
                for job in claim.jobs {
                    settlement.record(LockEvent(.released, job, of: claim, at: .now))
                    settlement.finish(job, .succeeded)
                    done += 1
                }
                settlement.freesLine = true
                settlements.append(settlement)
            }
            _ = try await database.store.settle(settlements)
            times.claim += start.duration(to: claimed)
            times.record += claimed.duration(to: recorded)
            times.settle += recorded.duration(to: clock.now)
        }
        let perJob = 1_000_000 / Double(max(done, 1))
        return Cost(
            claim: times.claim.seconds * perJob,
            record: times.record.seconds * perJob,
            settle: times.settle.seconds * perJob
        )
    }

    private func printPlan(_ database: BenchDatabase) async throws {
        let plan = try await database.execute(
            """
            explain (analyze, buffers, costs off)
            select k.lock_key from holdfast.key_lines k
            where k.held_by is null and k.queue = 'default' and k.priority = 5 and k.ready_at <= now()
            order by k.ready_at limit 500 for update skip locked
            """
        )
        for row in plan { print("    \(try row.decode(String.self, at: 0))") }
    }
}
