import ArgumentParser
import FaultChecking
import Foundation
import PlantedBugs
import Simulation
import Synchronization

/// The command `holdfast-faults simulate`.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run locks and workers in a virtual world, many thousand times.",
        discussion: """
            Redlock, the watchdog of its holds, what a worker does with a claim and how it sees that another is dead run \
            as they are, on virtual clocks that drift, over nodes, networks, processes and a database that fail. Each run \
            follows from its seed alone: --seed N --runs 1 --trace tells one again. Prints which outcomes came while which \
            faults were felt. Exits with 1 on any violation.
            """
    )

    @Option(help: "Of the first run; each run after it has the next.")
    var seed: UInt64 = 1

    @Option(help: "How many.")
    var runs: UInt64 = 10_000

    @Flag(help: "Print what happens, with the true time in seconds.")
    var trace = false

    #if DEBUG
        @Option(help: "Which bug the code has; it is expected to be found. See planted-bugs.")
        var plant: PlantedBug?
    #endif

    func run() throws {
        #if DEBUG
            // Before anything asks for it.
            if let plant { setenv(PlantedBug.variable, plant.rawValue, 1) }
        #endif
        let start = ContinuousClock.now
        let trials = Trials(from: seed, count: runs)
        let threads = trace ? 1 : ProcessInfo.processInfo.activeProcessorCount
        let group = DispatchGroup()
        for _ in 0..<threads {
            group.enter()
            // A thread of its own: a simulation takes all the tasks that come up on its thread.
            Thread.detachNewThread { [trace] in
                var note: ((String) -> Void)?
                if trace { note = { print($0) } }
                while let seed = trials.next() { trials.add(Simulation.run(seed: seed, note: note), of: seed) }
                group.leave()
            }
        }
        while group.wait(timeout: .now() + 10) == .timedOut { print("  \(trials.summary(since: start))") }
        print(trials.summary(since: start))
        print(trials.coverage.table)
        guard let (seed, violations) = trials.firstFailure else {
            return print("No violation; digest \(trials.digest).")
        }
        let rules = Violation.Rule.allCases.filter { rule in violations.contains { $0.rule == rule } }
        print("\(Report.brokenLabel)\(rules.map { "\($0)" }.joined(separator: ", "))")
        for violation in violations { print("  \(violation)") }
        print("Failed with seed \(seed); tell it again with --seed \(seed) --runs 1 --trace")
        throw ExitCode.failure
    }
}

/// The seeds that are tried, and what came of them.
private final class Trials: Sendable {
    private struct State {
        var next: UInt64
        var done = 0
        var steps = 0
        var holds = 0
        /// Of all runs, in any order.
        var digest: UInt64 = 0
        var coverage = Coverage()
        var failure: (seed: UInt64, violations: [Violation])?
    }

    private let first: UInt64
    private let count: UInt64
    private let state: Mutex<State>

    init(from first: UInt64, count: UInt64) {
        self.first = first
        self.count = count
        state = Mutex(State(next: first))
    }

    /// The next seed; none after a failure.
    func next() -> UInt64? {
        state.withLock { state in
            guard state.failure == nil, state.next - first < count else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    func add(_ outcome: Simulation.Outcome, of seed: UInt64) {
        state.withLock { state in
            state.done += 1
            state.steps += outcome.steps
            state.holds += outcome.holds
            state.digest &+= outcome.digest
            state.coverage.add(outcome.coverage)
            // The lowest seed, whichever thread was first.
            if !outcome.violations.isEmpty, seed < state.failure?.seed ?? .max {
                state.failure = (seed, outcome.violations)
            }
        }
    }

    /// The same for the same seeds, whichever threads they ran on.
    var digest: String { String(state.withLock(\.digest), radix: 16) }

    /// What the runs have reached.
    var coverage: Coverage { state.withLock(\.coverage) }

    var firstFailure: (seed: UInt64, violations: [Violation])? { state.withLock(\.failure) }

    func summary(since start: ContinuousClock.Instant) -> String {
        let seconds = start.duration(to: .now) / .seconds(1)
        return state.withLock { state in
            "\(state.done) runs, \(state.holds) holds, \(state.steps) steps, \(Int(Double(state.done) / seconds)) runs/s"
        }
    }
}
