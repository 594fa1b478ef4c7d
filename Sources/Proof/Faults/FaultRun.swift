import FaultChecking
import Foundation
import Holdfast
import LocalStack
import Postgres
import Randomness
import Redis
import Redlock

/// One run: work and faults for a time, then peace until the queue is empty, then the evidence.
struct FaultRun: Sendable {
    private static let count = Statement(
        name: "faults_unfinished",
        sql: "select count(*) from holdfast.jobs"
    )

    private let system: FaultSystem
    private let seed: UInt64
    /// How long the queue may take to empty once the faults are over.
    private let patience: Duration

    init(_ system: FaultSystem, _ seed: UInt64, patience: Duration) {
        self.system = system
        self.seed = seed
        self.patience = patience
    }

    /// Runs; ends the system.
    ///
    /// - Throws: `CancellationError`, or what kept a part from being started again.
    func run(for duration: Duration, _ kinds: [FaultKind]) async throws -> Evidence {
        var random = SeededRandom(state: seed)
        let seeds = (0..<5).map { _ in random.split() }
        let workload = Workload(system)
        let injector = Injector(system, for: duration)
        let names = WorkerNames()
        let (startedAt, wallClock) = (Monotonic.nanoseconds, Int64(Date().timeIntervalSince1970 * 1_000_000))
        let foreign = try ForeignClient(system, injector)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await workload.run(seeds[0]) }
            // Two faults at once, or three: one of each group.
            for (kindsOf, seed) in zip(FaultKind.Group.allCases, seeds[1...]) {
                group.addTask { try await injector.run(kinds.filter { $0.group == kindsOf }, seed) }
            }
            group.addTask { await foreign.run(seeds[4]) }
            group.addTask { await names.watch(system.pool) }
            let end = ContinuousClock.now + duration
            do {
                while ContinuousClock.now < end {
                    try await Task.sleep(for: min(.seconds(10), ContinuousClock.now.duration(to: end)))
                    say(workload, injector)
                }
            } catch {
                group.cancelAll()
                while try await group.next() != nil {}
                throw error
            }
            group.cancelAll()
            while try await group.next() != nil {}
        }
        // What clients gave up waiting for may yet be stored: no intake stores any more when the queue is looked at.
        for part in system.intakes { await part.process?.end(with: SIGTERM, within: .seconds(30)) }
        let watch = Task { await names.watch(system.pool) }
        try await whenEmpty()
        watch.cancel()
        await watch.value
        var evidence = Evidence()
        evidence.submissions = workload.submissions
        evidence.faults = injector.faults
        evidence.foreignHolds = foreign.holds
        evidence.nodeErrors = injector.nodeErrors
        evidence.workers = names.all
        evidence.nodeNames = Dictionary(
            uniqueKeysWithValues: system.links.map { ("127.0.0.1:\($0.port)", $0.target) }
        )
        evidence.wallClockOffset = wallClock - startedAt / 1000
        evidence.values = try await values(of: Set(evidence.submissions.map(\.key)))
        for part in system.workers { await part.process?.end(with: SIGTERM, within: .seconds(30)) }
        try await evidence.read(system.pool)
        try await evidence.audit(system.pool, system.valueNode.url)
        await system.stop()
        try evidence.read(folder: system.folder)
        return evidence
    }

    private func say(_ workload: Workload, _ injector: Injector) {
        print("  \(workload.submissions.count) jobs sent, \(injector.faults.count) faults")
        // Into a file, too, while it goes on.
        fflush(nil)
    }

    /// Waits until all jobs have finished, or for as long as that may take.
    private func whenEmpty() async throws {
        let end = ContinuousClock.now + patience
        while ContinuousClock.now < end {
            // The runner's own connections have to come back too.
            if let left = try? await system.pool.execute(Self.count)[0].decode(Int.self, at: 0), left == 0 { return }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func values(of keys: Set<String>) async throws -> [String: String] {
        let node = RedisNode(try RedisEndpoint(system.valueNode.url), logger: .quiet)
        let connection = Task { await node.run() }
        defer { connection.cancel() }
        var values: [String: String] = [:]
        for key in keys {
            values[key] = try await node.send(RedisCommand("GET", key), within: .seconds(10)).string
        }
        return values
    }
}
