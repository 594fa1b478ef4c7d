import ArgumentParser
import Holdfast
import Postgres

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
                    let loop = RawLoop(database: database, runLimit: runLimit)
                    let stored = try await loop.store(jobs, keys: keys)
                    let cost = try await loop.settle(jobs)
                    let parts = [cost.claim, cost.record, cost.settle].map { $0.short.padded(9) }.joined()
                    let rates = "\(Int(stored).description.padded(10))\(Int(cost.rate).description.padded(11))"
                    print("\(depthText)  \(String(keys).padded(8))  \(rates)\(parts)")
                    if plans { try await printPlan(database) }
                }
            }
        }
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
