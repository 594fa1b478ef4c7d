import ArgumentParser
import Redis
import Redlock

/// The command `holdfast-bench locks`.
struct Locks: Workload {
    static let configuration = CommandConfiguration(
        abstract: "Cycles of acquire and release a second, of the lock alone.",
        discussion: """
            A cycle acquires the lock on a key of its own and releases it, on all nodes. The ceiling is the same two \
            commands by redis-benchmark, one process for each node, all at once, with as many commands in flight on one \
            connection.
            """
    )

    @Option(help: "Numbers of nodes, separated by commas.")
    var nodes = "1,3"

    @Option(name: .customLong("in-flight"), help: "Numbers of cycles at once, separated by commas.")
    var inFlight = "1,64,1000"

    @Option(help: "How long each run takes, about, in seconds.")
    var seconds = 2.0

    @OptionGroup var options: RunOptions

    private func nodeCounts() throws -> [Int] {
        let counts = try numbers("--nodes", nodes, in: 1...7)
        guard counts.allSatisfy({ $0 % 2 == 1 }) else { throw ValidationError("--nodes must be 1, 3, 5 or 7.") }
        return counts
    }

    private func loads() throws -> [Int] { try numbers("--in-flight", inFlight, in: 1...100_000) }

    func validate() throws {
        _ = try nodeCounts()
        _ = try loads()
        try require("--seconds", seconds, in: 0.01...3600)
    }

    func measure(_ report: Report) async throws {
        for count in try nodeCounts() {
            try await BenchNodes.with(count, options: []) { bench in
                for load in try loads() { report(try await measure(bench, count, load)) }
            }
        }
    }

    private func measure(_ bench: BenchNodes, _ count: Int, _ load: Int) async throws -> Figure {
        // A first run, to warm up and to see how many cycles take as long as is wanted.
        let first = try await Self.cyclesPerSecond(bench.redlock, cycles: max(200, load) * 10, inFlight: load)
        let cycles = max(load, Int(first * seconds))
        var rates: [Double] = []
        var ceilings: [Double] = []
        for _ in 0..<options.runs {
            rates.append(try await Self.cyclesPerSecond(bench.redlock, cycles: cycles, inFlight: load))
            ceilings.append(
                try await RedisBenchmark.cyclesPerSecond(
                    bench.servers,
                    cycles: cycles,
                    inFlight: load,
                    release: LockScripts.release.hash
                )
            )
        }
        var figure = Figure("locks, \(count) node\(count > 1 ? "s" : ""), \(load) at once", "cycles/s", rates)
        figure.ceiling = Samples(ceilings)
        return figure
    }

    /// Runs cycles, so many at once.
    private static func cyclesPerSecond(_ redlock: Redlock, cycles: Int, inFlight: Int) async throws -> Double {
        let start = ContinuousClock.now
        try await withThrowingDiscardingTaskGroup { group in
            for lane in 0..<inFlight {
                group.addTask {
                    for cycle in 0..<(cycles / inFlight) {
                        let hold = try await redlock.acquire(LockKey("bench-\(lane)-\(cycle)"))
                        await redlock.release(hold)
                    }
                }
            }
        }
        return Double(cycles / inFlight * inFlight) / start.duration(to: .now).seconds
    }
}
