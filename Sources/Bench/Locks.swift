import ArgumentParser
import Foundation
import Redis
import Redlock

/// The command `holdfast-bench locks`.
struct Locks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cycles of acquire and release a second.",
        discussion: """
            A cycle acquires the lock on a key of its own and releases it, on all nodes. The ceiling is the same two \
            commands by redis-benchmark, one process for each node, all at once, with as many commands in flight.
            """
    )

    @Option(help: "Numbers of nodes, separated by commas.")
    var nodes = "1,3"

    @Option(name: .customLong("in-flight"), help: "Numbers of cycles at once, separated by commas.")
    var inFlight = "1,64,1000"

    @Option(help: "How many runs the median is of.")
    var runs = 5

    @Option(help: "How long each run takes, about, in seconds.")
    var seconds = 2.0

    @Flag(help: "One JSON object for each workload, on a line of its own.")
    var json = false

    func validate() throws {
        guard try Self.numbers(nodes, "nodes").allSatisfy([1, 3, 5, 7].contains) else {
            throw ValidationError("--nodes must be 1, 3, 5 or 7.")
        }
        guard try Self.numbers(inFlight, "in-flight").allSatisfy((1...100_000).contains) else {
            throw ValidationError("--in-flight must be from 1 to 100000.")
        }
        guard (1...1000).contains(runs) else { throw ValidationError("--runs must be from 1 to 1000.") }
        guard seconds > 0, seconds <= 3600 else { throw ValidationError("--seconds must be more than 0, up to 3600.") }
    }

    func run() async throws {
        let nodeCounts = try Self.numbers(nodes, "nodes"), loads = try Self.numbers(inFlight, "in-flight")
        if !json { print("nodes  in flight    cycles/s (min … max)      redis-benchmark   ratio") }
        for count in nodeCounts {
            try await BenchNodes.with(count, options: []) { bench in
                for load in loads { try await measure(bench, count, load) }
            }
        }
    }

    private func measure(_ bench: BenchNodes, _ count: Int, _ load: Int) async throws {
        var ours: [Double] = []
        var ceilings: [Double] = []
        // A first run, to warm up and to see how many cycles take as long as is wanted.
        var cycles = max(200, load)
        cycles = max(
            load,
            Int(try await Self.cyclesPerSecond(bench.redlock, cycles: cycles * 10, inFlight: load) * seconds)
        )
        for _ in 0..<runs {
            ours.append(try await Self.cyclesPerSecond(bench.redlock, cycles: cycles, inFlight: load))
            let connections = min(load, 50)
            ceilings.append(
                try await RedisBenchmark.cyclesPerSecond(
                    bench.servers,
                    cycles: cycles,
                    connections: connections,
                    pipeline: load / connections,
                    release: LockScripts.release.hash
                )
            )
        }
        report(count, load, Samples(ours), Samples(ceilings))
    }

    private func report(_ count: Int, _ load: Int, _ ours: Samples, _ ceiling: Samples) {
        let ratio = ours.median / ceiling.median
        guard json else {
            let figures = [ours.median, ours.minimum, ours.maximum, ceiling.median].map { Int($0) }
            let range = "(\(figures[1]) … \(figures[2]))"
            print(
                "\(count)".padded(7) + "\(load)".padded(13) + "\(figures[0]) \(range)".padded(26)
                    + "\(figures[3])".padded(18) + String(format: "%.2f", ratio)
            )
            return
        }
        print(
            """
            {"workload":"locks","nodes":\(count),"inFlight":\(load),"unit":"cycles/s","median":\(ours.median),\
            "min":\(ours.minimum),"max":\(ours.maximum),"runs":\(runs),"ceiling":\(ceiling.median),"ratio":\(ratio)}
            """
        )
    }

    private static func numbers(_ text: String, _ name: String) throws -> [Int] {
        try text.split(separator: ",").map { part in
            guard let number = Int(part), number > 0 else { throw ValidationError("--\(name): \(part) is no number.") }
            return number
        }
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

extension String {
    /// With blanks up to a width.
    func padded(_ width: Int) -> String {
        padding(toLength: max(width, count), withPad: " ", startingAt: 0)
    }
}
