import ArgumentParser
import Foundation
import Redis
import Redlock
import Synchronization

/// The command `holdfast-bench holds`.
struct Holds: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Many holds at once, kept alive by one process.",
        discussion: """
            Acquires the locks on so many keys, keeps all of them for so long, and releases them. Prints how many were \
            lost, and what keeping them cost this process: memory, processor time, and commands sent for each hold.
            """
    )

    @Option(help: "How many holds.")
    var count = 10_000

    @Option(help: "How long they are kept, in seconds.")
    var seconds = 60

    @Option(name: .customLong("ttl"), help: "Time to live of each lock, in seconds.")
    var ttl = 20

    @Option(help: "How many nodes.")
    var nodes = 3

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--count must be from 1 to 1000000.") }
        guard (1...86_400).contains(seconds) else { throw ValidationError("--seconds must be from 1 to 86400.") }
        guard (1...60).contains(ttl) else { throw ValidationError("--ttl must be from 1 to 60.") }
        guard [1, 3, 5, 7].contains(nodes) else { throw ValidationError("--nodes must be 1, 3, 5 or 7.") }
    }

    func run() async throws {
        try await BenchNodes.with(nodes, options: []) { bench in
            let before = Usage.now
            let tally = Tally()
            let start = ContinuousClock.now
            let end = start.advanced(by: .seconds(seconds))
            try await withThrowingDiscardingTaskGroup { group in
                for number in 0..<count {
                    group.addTask {
                        do {
                            try await bench.redlock.withLock(LockKey("hold-\(number)"), ttl: .seconds(ttl)) { _ in
                                if tally.acquired() == count { report(acquiredAfter: start.duration(to: .now)) }
                                try await Task.sleep(until: end)
                            }
                        } catch let error as LockError {
                            tally.lost(error)
                        }
                    }
                }
                while ContinuousClock.now.advanced(by: .seconds(5)) < end {
                    let commands = try await bench.commands()
                    try await Task.sleep(for: .seconds(5))
                    let rate = (try await bench.commands() - commands) / 5
                    let counts = tally.counts
                    print("  held \(counts.acquired - counts.lost), lost \(counts.lost), \(rate) commands/s")
                }
            }
            let used = Usage.now
            let counts = tally.counts
            let commands = try await bench.commands()
            let processorTime = used.processorTime - before.processorTime
            let cores = processorTime / start.duration(to: .now).seconds
            print(
                """
                holds            \(counts.acquired) of \(count) acquired, \(counts.lost) lost
                memory           \(used.peakMemory >> 20) MiB at most, \((used.peakMemory - before.peakMemory) / count) bytes a hold
                processor time   \(String(format: "%.1f s, %.2f cores", processorTime, cores))
                commands         \(String(format: "%.1f", Double(commands) / Double(count))) a hold, on all nodes together
                """
            )
            if let error = tally.firstError { print("first error      \(error)") }
            guard counts.acquired == count, counts.lost == 0 else { throw ExitCode.failure }
        }
    }

    private func report(acquiredAfter time: Duration) {
        print("  all acquired after \(String(format: "%.2f", time.seconds)) s")
    }
}

extension BenchNodes {
    /// Commands that all nodes have processed, scripts' own left out.
    func commands() async throws -> Int {
        var count = 0
        for node in nodes {
            let reply = try await node.connection.send(RedisCommand("INFO", "commandstats"), within: .seconds(10))
            for line in (reply.string ?? "").split(whereSeparator: \.isNewline) {
                guard ["cmdstat_set:", "cmdstat_eval:", "cmdstat_evalsha:"].contains(where: line.hasPrefix) else {
                    continue
                }
                // The first of several counts: calls, rejected calls, failed calls.
                let calls = line.split(separator: "calls=").dropFirst().first
                count += calls.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
            }
        }
        return count
    }
}

/// What became of the holds.
private final class Tally: Sendable {
    private struct State {
        var acquired = 0
        var lost = 0
        var firstError: LockError?
    }

    private let state = Mutex(State())

    var counts: (acquired: Int, lost: Int) { state.withLock { ($0.acquired, $0.lost) } }
    var firstError: LockError? { state.withLock(\.firstError) }

    func acquired() -> Int {
        state.withLock { state in
            state.acquired += 1
            return state.acquired
        }
    }

    func lost(_ error: LockError) {
        state.withLock { state in
            state.lost += 1
            state.firstError = state.firstError ?? error
        }
    }
}

/// What this process has used so far.
private struct Usage {
    /// In seconds.
    let processorTime: Double
    /// In bytes.
    let peakMemory: Int

    static var now: Usage {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return Usage(
            processorTime: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peakMemory: usage.ru_maxrss * 1024
        )
    }
}
