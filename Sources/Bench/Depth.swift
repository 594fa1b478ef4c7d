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
        guard (500...10_000_000).contains(jobs) else { throw ValidationError("--jobs must be from 500 to 10000000.") }
    }

    func run() async throws {
        print("waiting   keys      stored/s   claimed and settled/s")
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
                    let settled = try await drain(database)
                    print(
                        "\(depthText)  \(String(keys).padded(8))  \(Int(stored).description.padded(9))  \(Int(settled))"
                    )
                    if plans { try await printPlan(database) }
                }
            }
        }
    }

    /// - Returns: Jobs a second.
    private func drain(_ database: BenchDatabase) async throws -> Double {
        let registry = WorkerRegistry(pool: database.pool)
        let worker = try await registry.nextID()
        let history = LockHistory(pool: database.pool)
        var floors = ClaimFloors()
        var done = 0
        let start = ContinuousClock.now
        while done < jobs {
            try await registry.heartbeat(worker, name: "bench", queues: ["default"], kinds: [], slots: 500)
            let claims = try await database.store.claim(
                for: worker,
                queues: ["default"],
                limit: 500,
                runLimit: 25,
                floors: &floors
            )
            guard !claims.isEmpty else { break }
            var settlements: [Settlement] = []
            try await withThrowingTaskGroup(of: Void.self) { group in
                for claim in claims {
                    for job in claim.jobs {
                        group.addTask { _ = try await history.append(LockEvent(.acquired, job, of: claim, at: .now)) }
                    }
                }
                try await group.waitForAll()
            }
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
        }
        return Double(done) / start.duration(to: .now).seconds
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
