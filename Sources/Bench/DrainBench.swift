import ArgumentParser
import Foundation
import Holdfast

/// The command `holdfast-bench drain`.
struct DrainBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Jobs a second, from line to history, by how they are spread over keys.",
        discussion: """
            Stores jobs whose task does nothing but its fenced write, then starts workers: each job has a Redlock on three \
            nodes, and its acquired and released rows are durable. From the first hold to the last settle, by the \
            database's clock. The ceiling is the same statements, claims, records and settles, in batches of 500 on two \
            connections that do nothing else.

            distinct   each job on a key of its own
            keys       1,000 keys in turn
            zipf       10,000 keys, the n-th as often as 1/n
            one        ONE key
            """
    )

    enum Spread: String, CaseIterable, ExpressibleByArgument {
        case distinct, keys, zipf, one

        func key(of number: Int) -> String {
            switch self {
            case .distinct: "key-\(number)"
            case .keys: "key-\(number % 1000)"
            case .zipf: "key-\(Self.rank(of: number))"
            case .one: "key"
            }
        }

        /// Of 10,000: the harmonic series is about a logarithm, so its inverse is about a power.
        private static func rank(of number: Int) -> Int {
            // A sequence that fills the unit interval evenly: multiples of the golden ratio.
            let place = (Double(number) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
            return Int(pow(10_000, place))
        }
    }

    @Option(help: "How keys are spread: distinct, keys, zipf or one; several separated by commas.")
    var spread = "distinct,keys,zipf,one"

    @Option(help: "How many jobs in each run.")
    var jobs = 100_000

    @Option(help: "How many worker processes: numbers separated by commas.")
    var processes = "1,2"

    @Option(help: "How many tasks each runs at once.")
    var slots = 256

    @OptionGroup var options: RunOptions

    private func spreads() throws -> [Spread] {
        try spread.split(separator: ",").map { text in
            guard let spread = Spread(rawValue: String(text)) else {
                throw ValidationError("--spread must be of \(Spread.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            return spread
        }
    }

    private func processCounts() throws -> [Int] {
        try processes.split(separator: ",").map { text in
            guard let count = Int(text), (1...64).contains(count) else {
                throw ValidationError("--processes must be numbers from 1 to 64, separated by commas.")
            }
            return count
        }
    }

    func validate() throws {
        _ = try spreads()
        _ = try processCounts()
        guard (1000...10_000_000).contains(jobs) else { throw ValidationError("--jobs must be from 1000 to 10000000.") }
        guard (1...100_000).contains(slots) else { throw ValidationError("--slots must be from 1 to 100000.") }
    }

    func run() async throws {
        let counts = try processCounts()
        for spread in try spreads() {
            for count in counts {
                try await BenchSystem.with { [self] system in
                    var rates: [Double] = [], ceilings: [Double] = []
                    var commands = 0.0
                    for _ in 0..<options.runs {
                        let before = try await system.nodes.commands()
                        rates.append(try await drain(system, spread, count))
                        commands = Double(try await system.nodes.commands() - before) / Double(jobs)
                        ceilings.append(try await drainRaw(system, spread))
                    }
                    var figure = Figure(
                        workload: "drain \(spread.rawValue), \(count) process\(count > 1 ? "es" : "")",
                        unit: "jobs/s",
                        samples: Samples(rates)
                    )
                    figure.ceiling = Samples(ceilings)
                    figure.details = [("commandsPerJob", commands)]
                    options.report(figure)
                }
            }
        }
    }

    private func drain(_ system: BenchSystem, _ spread: Spread, _ processes: Int) async throws -> Double {
        let database = system.database
        try await database.fill(jobs) { spread.key(of: $0) }
        let before = try await database.number("select coalesce(max(id), 0) from holdfast.finished_jobs")
        try await system.withWorkers(processes, slots: slots) { try await system.finishAll(within: .seconds(600)) }
        return try await database.number(
            """
            select count(*) / extract(epoch from max(finished_at) - min(started_at))
            from holdfast.finished_jobs
            where id > \(Int64(before))
            """
        )
    }

    private func drainRaw(_ system: BenchSystem, _ spread: Spread) async throws -> Double {
        try await system.database.fill(jobs) { spread.key(of: $0) }
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask { [jobs] in
                    _ = try await RawLoop(database: system.database, runLimit: 64).settle(jobs)
                }
            }
            try await group.waitForAll()
        }
        try await system.finishAll(within: .seconds(60))
        return Double(jobs) / start.duration(to: .now).seconds
    }
}
