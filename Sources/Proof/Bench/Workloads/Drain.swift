import ArgumentParser
import Foundation
import Worker

/// The command `holdfast-bench drain`.
struct Drain: Workload {
    static let configuration = CommandConfiguration(
        abstract: "Jobs a second, from line to history, by how they are spread over keys.",
        discussion: """
            Stores jobs whose task does nothing but its fenced write, then starts workers: each job runs under a Redlock on \
            three nodes, which jobs of one key that follow each other share, and its rows of the history are durable. From \
            the first hold to the last settle, by the database's clock. The ceiling is the same statements, claims, records \
            and settles, in batches of 500 on two connections that do nothing else; of ONE key, what a job with a hold of \
            its own must wait for, one after the other, with no worker around it: lock, commit and write are how long they \
            took, in ms. Beside it is the processor time of a job, in us: of the worker, PostgreSQL and Redis.

            distinct   each job on a key of its own
            keys       1,000 keys in turn
            zipf       10,000 keys, the n-th as often as 1/n
            one        ONE key
            beside     ONE key, and as many jobs on 1,000 others: the rate is the one key's, over all of its jobs
            """
    )

    enum Spread: String, CaseIterable, ExpressibleByArgument {
        case distinct, keys, zipf, one, beside

        func key(of number: Int) -> String {
            switch self {
            case .distinct: "key-\(number)"
            case .keys: "key-\(number % 1000)"
            case .zipf: "key-\(Self.rank(of: number))"
            case .one: "one"
            case .beside: number % 2 == 0 ? "one" : "key-\(number / 2 % 1000)"
            }
        }

        /// Which jobs are measured.
        var condition: String { self == .beside ? "lock_key = 'one'" : "true" }

        /// What a drain is to reach.
        var aims: [Aim] {
            switch self {
            case .distinct: [.atLeast(18_000), .atLeast(0.6, .ratio)]
            case .keys: [.atLeast(25_000)]
            case .zipf: [.atLeast(15_000)]
            case .one, .beside: [.atLeast(6_000)]
            }
        }

        /// Of 10,000: the harmonic series is about a logarithm, so its inverse is about a power.
        private static func rank(of number: Int) -> Int {
            // A sequence that fills the unit interval evenly: multiples of the golden ratio.
            let place = (Double(number) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
            return Int(pow(10_000, place))
        }
    }

    @Option(help: "How keys are spread: distinct, keys, zipf, one or beside; several separated by commas.")
    var spread = "distinct,keys,zipf,one,beside"

    @Option(help: "How many jobs in each run.")
    var jobs = 100_000

    @Option(help: "How many worker processes: numbers separated by commas.")
    var processes = "1"

    @Option(help: "How many tasks each runs at once.")
    var slots = 1000

    @OptionGroup var options: RunOptions

    private func spreads() throws -> [Spread] {
        try spread.split(separator: ",").map { text in
            guard let spread = Spread(rawValue: String(text)) else {
                throw ValidationError("--spread must be of \(Spread.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            return spread
        }
    }

    private func processCounts() throws -> [Int] { try numbers("--processes", processes, in: 1...64) }

    func validate() throws {
        _ = try spreads()
        _ = try processCounts()
        try require("--jobs", jobs, in: 100...10_000_000)
        try require("--slots", slots, in: 1...100_000)
    }

    func measure(_ report: Report) async throws {
        for spread in try spreads() {
            for count in try processCounts() {
                report(try await BenchSystem.with { try await measure($0, spread, count) })
            }
        }
    }

    private func measure(_ system: BenchSystem, _ spread: Spread, _ processes: Int) async throws -> Figure {
        var rates: [Double] = []
        var ceilings: [Double] = []
        var commands: [Double] = []
        var costs: [JobCost] = []
        var waits: [(lock: Double, commit: Double, write: Double)] = []
        for _ in 0..<options.runs {
            let before = try await system.nodes.commands()
            rates.append(
                try await rate(system, spread) {
                    try await system.withWorkers(processes, slots: slots) { workers in
                        let before = system.cost(with: workers)
                        try await system.database.finishAll(within: .seconds(600))
                        costs.append((system.cost(with: workers) - before) / Double(jobs))
                    }
                }
            )
            commands.append(Double(try await system.nodes.commands() - before) / Double(jobs))
            ceilings.append(
                try await rate(system, spread) {
                    if spread == .one { waits.append(try await runInTurn(system)) } else { try await drainRaw(system) }
                }
            )
        }
        let name = "drain \(spread.rawValue), \(processes) process\(processes > 1 ? "es" : "")"
        var figure = Figure(name, "jobs/s", rates)
        figure.ceiling = Samples(ceilings)
        figure.aims = spread.aims
        figure.details = [
            ("commandsPerJob", Samples(commands).median),
            ("worker", Samples(costs.map(\.worker)).median), ("postgres", Samples(costs.map(\.postgres)).median),
            ("redis", Samples(costs.map(\.redis)).median),
        ]
        if !waits.isEmpty {
            figure.details += [
                ("lock", Samples(waits.map(\.lock)).median), ("commit", Samples(waits.map(\.commit)).median),
                ("write", Samples(waits.map(\.write)).median),
            ]
        }
        return figure
    }

    private func rate(
        _ system: BenchSystem,
        _ spread: Spread,
        _ drain: () async throws -> Void
    ) async throws -> Double {
        let before = try await system.database.lastID()
        try await system.database.fill(jobs) { spread.key(of: $0) }
        try await drain()
        return try await system.database.drainRate(after: before, where: spread.condition)
    }

    private func runInTurn(_ system: BenchSystem) async throws -> (lock: Double, commit: Double, write: Double) {
        var loop = try await RawLoop(system.database, runLimit: WorkerConfiguration().runLimit)
        return try await loop.runInTurn(on: system.nodes)
    }

    private func drainRaw(_ system: BenchSystem) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask { [jobs] in
                    var loop = try await RawLoop(system.database, runLimit: WorkerConfiguration().runLimit)
                    try await loop.settle(jobs)
                }
            }
            try await group.waitForAll()
        }
        try await system.database.finishAll(within: .seconds(60))
    }
}
