import Synchronization
import TestSupport
import Testing

@testable import Redlock

/// Guarded work, on nodes that the test plays and a clock that it moves.
@Suite(.timeLimit(.minutes(1)))
struct KeepTests {
    private struct Failure: Error {}

    /// Work that goes on until the test ends it or it is cancelled, and keeps when that was.
    private final class Work: Sendable {
        let end = Gate()
        private let clock: ManualClock
        private let cancelled = Mutex<ContinuousClock.Instant?>(nil)

        var cancelledAt: ContinuousClock.Instant? { cancelled.withLock { $0 } }

        init(_ clock: ManualClock) { self.clock = clock }

        func run() async throws -> String {
            await end.wait()
            guard Task.isCancelled else { return "done" }
            let now = clock.now
            cancelled.withLock { $0 = now }
            throw CancellationError()
        }
    }

    private let clock = ManualClock()
    private let key: LockKey
    private let ttl = Duration.seconds(10)
    /// A third of the TTL.
    private let interval = Duration.seconds(10) / 3
    /// A hundredth of the TTL.
    private let margin = Duration.milliseconds(100)

    init() throws { key = try LockKey("k") }

    // No grace passes unless the test is about it.
    private func makeRedlock(_ nodes: [ScriptedNode], grace: Duration = .seconds(3600)) -> Redlock {
        var configuration = RedlockConfiguration()
        configuration.stragglerGrace = grace
        configuration.nodeDeadline = .seconds(60)
        configuration.retryDelay = .milliseconds(500)
        configuration.retryJitter = .zero
        configuration.extensionSpread = 0
        return Redlock(nodes: nodes, configuration: configuration, clock: clock, logger: .quiet)
    }

    /// Nodes that grant the lock, and answer like this when they are to extend it.
    private func makeNodes(_ verdicts: [Vote.Verdict]) -> [ScriptedNode] {
        verdicts.enumerated().map { index, verdict in
            ScriptedNode("node-\(index)", clock: clock) { $0.kind == .extend ? verdict : .granted }
        }
    }

    private func acquire(_ redlock: Redlock) async throws -> Hold {
        try #require(await redlock.tryAcquire(key, token: "t", ttl: ttl).hold)
    }

    /// Keeps a hold while the clock runs up to `limit`, and returns the error that ends it.
    private func error(
        keeping hold: Hold,
        of redlock: Redlock,
        limit: Duration? = nil,
        upTo end: ContinuousClock.Instant,
        _ work: Work
    ) async -> (any Error)? {
        await withTaskGroup { group in
            group.addTask { [clock] in await clock.runFreely(upTo: end) }
            defer { group.cancelAll() }
            do {
                _ = try await redlock.keep(hold, limit: limit) { try await work.run() }
                return nil
            } catch {
                return error
            }
        }
    }

    @Test
    func `work that ends soon needs no extension`() async throws {
        let nodes = makeNodes([.granted, .granted, .granted])
        let redlock = makeRedlock(nodes)
        let value = try await redlock.keep(try await acquire(redlock), limit: nil) { "done" }
        #expect(value == "done")
        #expect(nodes.allSatisfy { $0.questions(.extend).isEmpty })
        #expect(clock.deadlines.isEmpty)
    }

    @Test
    func `a hold is extended each third of its TTL while the work goes on beyond it`() async throws {
        let nodes = makeNodes([.granted, .granted, .granted])
        let redlock = makeRedlock(nodes)
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let told = Mutexed<[[Vote.Verdict]]>([])
        async let value = redlock.keep(hold, limit: nil) { extended in
            told.withLock { $0.append(extended.votes.map(\.verdict)) }
        } _: {
            try await work.run()
        }
        var next = hold.acquiredAt
        for _ in 1...7 {
            next = next.advanced(by: interval)
            await clock.whenSleeping { $0.contains(next) }
            clock.advance(to: next)
        }
        let last = next.advanced(by: interval)
        await clock.whenSleeping { $0.contains(last) }
        #expect(clock.now > hold.validUntil.advanced(by: ttl))
        work.end.open()
        #expect(try await value == "done")
        #expect(told.withLock { $0 } == Array(repeating: [.granted, .granted, .granted], count: 7))
        for node in nodes {
            #expect(node.questions(.extend).count == 7)
            #expect(node.questions(.extend).allSatisfy { $0.token == "t" && $0.ttl == ttl && $0.lock == "locks:k" })
        }
    }

    @Test
    func `holds that were acquired together are not extended together`() async throws {
        let redlock = Redlock(nodes: makeNodes([.granted]), clock: clock, logger: .quiet)
        var holds: [Hold] = []
        for number in 0..<50 {
            let key = try LockKey("k\(number)")
            holds.append(try #require(await redlock.tryAcquire(key, token: "t\(number)", ttl: ttl).hold))
        }
        let work = Work(clock)
        let start = clock.now
        try await withThrowingDiscardingTaskGroup { group in
            for hold in holds {
                group.addTask { _ = try await redlock.keep(hold, limit: nil) { try await work.run() } }
            }
            await clock.whenSleeping { $0.count == holds.count }
            let waits = clock.deadlines.map { start.duration(to: $0) }.sorted()
            #expect(waits[0] >= interval / 4 && waits[49] <= interval)
            // Chance would have to put all fifty into one half.
            #expect(waits[49] - waits[0] > interval * 3 / 8)
            work.end.open()
        }
    }

    @Test(
        arguments: [
            [.unreachable], [.unreachable, .granted, .late], [.unreachable, .unreachable, .unreachable],
        ] as [[Vote.Verdict]]
    )
    func `without a quorum for its extension the work is cancelled before its validity ends`(
        verdicts: [Vote.Verdict]
    ) async throws {
        let redlock = makeRedlock(makeNodes(verdicts))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let end = hold.validUntil.advanced(by: ttl)
        let error = await error(keeping: hold, of: redlock, upTo: end, work) as? LockError
        #expect(error?.code == .lost)
        #expect(error?.keys == [key])
        #expect(error?.votes.map(\.verdict) == verdicts)
        #expect(error?.margin == margin)
        #expect(work.cancelledAt == hold.validUntil.advanced(by: .zero - margin))
    }

    @Test(
        arguments: [
            [.held], [.granted, .held, .held], [.held, .unreachable, .held], [.held, .held, .granted, .held, .granted],
        ] as [[Vote.Verdict]]
    )
    func `work is cancelled as soon as a quorum does not have its lock any more`(
        verdicts: [Vote.Verdict]
    ) async throws {
        let redlock = makeRedlock(makeNodes(verdicts))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let error = await error(keeping: hold, of: redlock, upTo: hold.validUntil.advanced(by: ttl), work) as? LockError
        #expect(error?.code == .lost)
        #expect(error?.votes.map(\.verdict) == verdicts)
        #expect(work.cancelledAt == hold.acquiredAt.advanced(by: interval))
        #expect(error?.margin == hold.acquiredAt.advanced(by: interval).duration(to: hold.validUntil))
    }

    @Test
    func `work is cancelled in time although the node is frozen`() async throws {
        // It says nothing for as long as it may.
        let frozen = ScriptedNode("frozen", clock: clock) { [clock] question in
            guard question.kind == .extend else { return .granted }
            try? await clock.sleep(for: question.deadline)
            return .late
        }
        let redlock = makeRedlock([frozen])
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let end = hold.validUntil.advanced(by: ttl)
        let error = await error(keeping: hold, of: redlock, upTo: end, work) as? LockError
        #expect(error?.code == .lost)
        #expect(work.cancelledAt == hold.validUntil.advanced(by: .zero - margin))
        // More than one try, and only the last had less than a tenth of the TTL left.
        let deadlines = frozen.questions(.extend).map(\.deadline)
        #expect(deadlines.count > 1)
        #expect(deadlines.dropLast().allSatisfy { $0 == ttl / 10 })
        #expect(deadlines.last.map { $0 < ttl / 10 } == true)
    }

    @Test
    func `one frozen node of three does not keep a hold from being extended`() async throws {
        let never = Gate()
        let frozen = ScriptedNode("frozen", clock: clock) { question in
            guard question.kind == .extend else { return .granted }
            await never.wait()
            return .late
        }
        let grace = Duration.milliseconds(20)
        let redlock = makeRedlock([frozen] + makeNodes([.granted, .granted]), grace: grace)
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let told = Mutexed<[[Vote.Verdict]]>([])
        async let value = redlock.keep(hold, limit: nil) { extended in
            told.withLock { $0.append(extended.votes.map(\.verdict)) }
        } _: {
            try await work.run()
        }
        var next = hold.acquiredAt
        for _ in 1...4 {
            next = next.advanced(by: interval)
            await clock.whenSleeping { $0.contains(next) }
            clock.advance(to: next)
            next = next.advanced(by: grace)
            await clock.whenSleeping { $0.contains(next) }
            clock.advance(to: next)
        }
        let last = next.advanced(by: interval)
        await clock.whenSleeping { $0.contains(last) }
        #expect(clock.now > hold.validUntil)
        work.end.open()
        #expect(try await value == "done")
        #expect(told.withLock { $0 } == Array(repeating: [.late, .granted, .granted], count: 4))
    }

    @Test
    func `an extension that fails is tried again, and the work goes on`() async throws {
        let answers = Mutexed<[Vote.Verdict]>([.unreachable, .late, .granted])
        let node = ScriptedNode("node", clock: clock) { question in
            guard question.kind == .extend else { return .granted }
            return answers.withLock { $0.isEmpty ? .granted : $0.removeFirst() }
        }
        let redlock = makeRedlock([node])
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let told = Mutexed(0)
        async let value = redlock.keep(hold, limit: nil) { _ in
            told.withLock { $0 += 1 }
        } _: {
            try await work.run()
        }
        let pause = Duration.milliseconds(500)
        var next = hold.acquiredAt
        for step in [interval, pause, pause, interval, interval] {
            next = next.advanced(by: step)
            await clock.whenSleeping { $0.contains(next) }
            clock.advance(to: next)
        }
        let last = next.advanced(by: interval)
        await clock.whenSleeping { $0.contains(last) }
        work.end.open()
        #expect(try await value == "done")
        #expect(told.withLock { $0 } == 3)
    }

    @Test(arguments: [Duration.seconds(1), .seconds(5), .seconds(25)])
    func `work past its limit is cancelled`(limit: Duration) async throws {
        let redlock = makeRedlock(makeNodes([.granted]))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let end = hold.acquiredAt.advanced(by: limit + ttl)
        let error = await error(keeping: hold, of: redlock, limit: limit, upTo: end, work) as? LockError
        #expect(error?.code == .overrun)
        #expect(error?.margin == nil)
        #expect(work.cancelledAt == hold.acquiredAt.advanced(by: limit))
    }

    @Test
    func `an error of the work's own is thrown, and nothing is extended any more`() async throws {
        let node = ScriptedNode("node", clock: clock) { _ in .granted }
        let redlock = makeRedlock([node])
        let hold = try await acquire(redlock)
        await #expect(throws: Failure.self) {
            _ = try await redlock.keep(hold, limit: nil) { () async throws -> Int in throw Failure() }
        }
        #expect(clock.deadlines.isEmpty)
    }

    @Test
    func `work is cancelled with its caller`() async throws {
        let redlock = makeRedlock(makeNodes([.granted]))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let keeping = Task { try await redlock.keep(hold, limit: nil) { try await work.run() } }
        await clock.whenSleeping { !$0.isEmpty }
        keeping.cancel()
        await #expect(throws: CancellationError.self) { try await keeping.value }
        #expect(work.cancelledAt == hold.acquiredAt)
        #expect(clock.deadlines.isEmpty)
    }

    @Test
    func `work that is interrupted is cancelled, and why is thrown`() async throws {
        let redlock = makeRedlock(makeNodes([.granted]))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let watch = Watch()
        async let value = redlock.keep(hold, limit: nil, watch: watch) { try await work.run() }
        await clock.whenSleeping { !$0.isEmpty }
        watch.interrupt(Failure())
        do {
            Issue.record("it gave \(try await value)")
        } catch {
            #expect(error is Failure)
        }
        #expect(work.cancelledAt == hold.acquiredAt)
        #expect(clock.deadlines.isEmpty)
    }

    @Test
    func `work that was interrupted and returns a value all the same gives it`() async throws {
        let redlock = makeRedlock(makeNodes([.granted]))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let watch = Watch()
        async let value = redlock.keep(hold, limit: nil, watch: watch) {
            do { return try await work.run() } catch { return "cancelled" }
        }
        await clock.whenSleeping { !$0.isEmpty }
        watch.interrupt(Failure())
        #expect(try await value == "cancelled")
        #expect(clock.deadlines.isEmpty)
    }

    /// The keeper, which runs where this does, cannot go on between the work's end and the interruption.
    @Test @MainActor
    func `an interruption after the work's end changes nothing`() async throws {
        struct OwnFailure: Error {}
        let redlock = makeRedlock(makeNodes([.granted]))
        let hold = try await acquire(redlock)
        let work = Work(clock)
        let watch = Watch()
        let keeping = Task { @MainActor in
            try await redlock.keep(hold, limit: nil, watch: watch) { () async throws -> Int in
                _ = try await work.run()
                throw OwnFailure()
            }
        }
        await clock.whenSleeping { !$0.isEmpty }
        work.end.open()
        while !watch.isOver {}
        watch.interrupt(Failure())
        await #expect(throws: OwnFailure.self) { try await keeping.value }
        #expect(clock.deadlines.isEmpty)
    }
}
