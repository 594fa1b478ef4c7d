import ArgumentParser
import Foundation
import Redlock
import Synchronization

/// The command `holdfast-bench holds`.
struct Holds: Workload {
    static let configuration = CommandConfiguration(
        abstract: "Many holds at once, kept alive by one process, of the lock alone.",
        discussion: """
            Acquires the locks on so many keys, keeps all of them for so long, and releases them. The figure is how many \
            were not lost; the ceiling is how many there should be. Beside it: how long it took to acquire all (in \
            seconds), what this process had resident in MB and used of cores while it kept them, and the commands that it \
            sent for each hold, to all nodes together.
            """
    )

    @Option(help: "How many holds.")
    var count = 10_000

    @Option(help: "How long they are kept, in seconds.")
    var seconds = 60.0

    @Option(name: .customLong("ttl"), help: "Time to live of each lock, in seconds.")
    var ttl = 20

    @Option(help: "How many nodes.")
    var nodes = 3

    @OptionGroup var options: RunOptions

    func validate() throws {
        try require("--count", count, in: 1...1_000_000)
        try require("--seconds", seconds, in: 1...86_400)
        try require("--ttl", ttl, in: 1...60)
        guard [1, 3, 5, 7].contains(nodes) else { throw ValidationError("--nodes must be 1, 3, 5 or 7.") }
    }

    /// What a run gave.
    private struct Outcome: Sendable {
        var kept = 0.0
        var acquiredAfter = 0.0
        var megabytes = 0.0
        var cores = 0.0
        var commands = 0.0
    }

    func measure(_ report: Report) async throws {
        var outcomes: [Outcome] = []
        for _ in 0..<options.runs {
            outcomes.append(try await BenchNodes.with(nodes, options: []) { try await run($0) })
        }
        func median(_ value: KeyPath<Outcome, Double>) -> Double { Samples(outcomes.map { $0[keyPath: value] }).median }
        var figure = Figure("holds", "kept", outcomes.map(\.kept))
        figure.ceiling = Samples([Double(count)])
        figure.aims = [.atLeast(1, .ratio)]
        figure.details = [
            ("acquiredAfter", median(\.acquiredAfter)), ("MB", median(\.megabytes)), ("cores", median(\.cores)),
            ("commandsPerHold", median(\.commands)),
        ]
        report(figure)
    }

    private func run(_ bench: BenchNodes) async throws -> Outcome {
        let tally = Tally()
        let start = ContinuousClock.now
        let end = start.advanced(by: .seconds(seconds))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                group.addTask {
                    do {
                        try await bench.redlock.withLock(LockKey("hold-\(number)"), ttl: .seconds(ttl)) { _ in
                            tally.acquired.add(1, ordering: .relaxed)
                            try await Task.sleep(until: end)
                        }
                        tally.kept.add(1, ordering: .relaxed)
                    } catch let error as LockError {
                        if !tally.failed.exchange(true, ordering: .relaxed) { Report.say("the first lost: \(error)") }
                    }
                }
            }
            var outcome = Outcome()
            try await wait(until: "all holds are acquired", within: .seconds(seconds)) {
                tally.acquired.load(ordering: .relaxed) == count
            }
            outcome.acquiredAfter = start.duration(to: .now).seconds
            let (before, from) = (ProcessUsage(of: [getpid()]), ContinuousClock.now)
            // Until shortly before they are released.
            try await Task.sleep(until: end - .milliseconds(100))
            let after = ProcessUsage(of: [getpid()])
            outcome.megabytes = Double(after.memory) / 1e6
            outcome.cores = (after.seconds - before.seconds) / from.duration(to: .now).seconds
            try await group.waitForAll()
            outcome.kept = Double(tally.kept.load(ordering: .relaxed))
            outcome.commands = Double(try await bench.commands()) / Double(count)
            return outcome
        }
    }
}

/// What became of the holds.
private final class Tally: Sendable {
    let acquired = Atomic(0)
    let kept = Atomic(0)
    let failed = Atomic(false)
}
