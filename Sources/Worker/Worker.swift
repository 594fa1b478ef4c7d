import CoreMetrics
package import Holdfast
package import Logging
package import Postgres
import Redis
package import Redlock
import ServiceLifecycle
import Synchronization
import Tracing

/// Claims lines, takes the locks of their keys, runs the tasks of their jobs, and settles.
package final class Worker: Service {
    /// How often lines are looked for that a claim of ours took unnoticed: at most, and for a while after a claim that got
    /// no answer.
    private static let giveUpInterval: (usual: Duration, inDoubt: Duration) = (.seconds(60), .seconds(10))
    /// The most lines in one claim.
    private static let claimLimit = 500
    /// How many claims there may be for each slot whose tasks have ended, and which cannot be settled: when the disk of the
    /// history is full, for example.
    private static let unsettledPerSlot = 8
    /// The most bytes of jobs that it has claimed and not settled, unless a single job has more: 64 MiB.
    ///
    /// Each is in memory several times: as it came from the database, as its task has it, and on its way to Redis.
    private static let claimedBytes = 64 << 20

    let configuration: WorkerConfiguration
    let registry: WorkerRegistry
    let wakeups: Wakeups
    let logger: Logger
    private let store: JobStore
    private let database: PostgresConfiguration
    private let listener: @Sendable (@escaping @Sendable (PostgresListener.Event) -> Void) -> PostgresListener
    let redlock: Redlock
    let handlers: [String: any TaskHandler]
    /// The kinds of job that it has handlers for, in order.
    let kinds: [String]
    /// How many other workers there are, as its last heartbeat showed.
    let peers = Atomic(0)
    private let control: WorkerControl
    private let history: LockHistory
    let metrics = WorkerMetrics()

    /// - Parameters:
    ///   - configuration: Its name, queues and limits.
    ///   - pool: For claims, settles, history and upkeep.
    ///   - database: For two more connections: one listens, and one has heartbeats, which wait for nothing else.
    ///   - redlock: The lock over the lock nodes, which are kept connected elsewhere.
    ///   - handlers: The code for each kind of job; of two for one kind, the later.
    ///   - logger: For what it does; its number is added.
    package init(
        configuration: WorkerConfiguration,
        pool: PostgresPool,
        database: PostgresConfiguration,
        redlock: Redlock,
        handlers: [any TaskHandler],
        logger: Logger
    ) {
        self.configuration = configuration
        self.redlock = redlock
        self.handlers = Dictionary(handlers.map { (type(of: $0).kind, $0) }) { $1 }
        kinds = self.handlers.keys.sorted()
        self.database = database
        self.logger = logger
        store = JobStore(pool: pool)
        registry = WorkerRegistry(pool: pool)
        wakeups = Wakeups(pool: pool, logger: logger)
        history = LockHistory(store: store)
        control = WorkerControl(registry: registry, logger: logger)
        listener = { onEvent in
            PostgresListener(
                configuration: database,
                channels: [Wakeups.channel, Wakeups.controlChannel],
                logger: logger,
                onEvent: onEvent
            )
        }
    }

    /// Serves until shut down: gracefully, it claims no more and finishes what runs; cancelled, it cancels what runs,
    /// gives the locks back, and puts those jobs back in line.
    package func run() async throws {
        let heartbeatPool = PostgresPool(configuration: database, size: 1, acquireTimeout: .seconds(2), logger: logger)
        defer { heartbeatPool.close() }
        let heartbeats = WorkerRegistry(pool: heartbeatPool)
        guard let id = await register(heartbeats) else { return }
        var logger = logger
        logger[metadataKey: "worker.id"] = "\(id)"
        logger.info(
            "Worker started",
            metadata: ["queues": "\(configuration.queues.joined(separator: ","))", "slots": "\(configuration.slots)"]
        )
        Gauge(label: "holdfast_slots").record(configuration.slots)
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let (due, deaths) = (Signal(), Signal())
        let executor = LoopExecutor(RedisNode.sharedLoop)
        let runner = ClaimRunner(
            configuration: configuration,
            redlock: redlock,
            handlers: handlers,
            history: history,
            settler: Settler(store: store, logger: logger),
            work: control.work,
            taskExecutor: globalConcurrentExecutor,
            logger: logger
        )
        await withDiscardingTaskGroup { group in
            // Not where handlers run: they may hold all threads there, and the worker would look dead.
            group.addTask(executorPreference: executor) { [self] in
                await keepBeating(id, heartbeats) { deaths.send() }
            }
            group.addTask(executorPreference: executor) { [self] in
                await keepUp(id, due: due, deaths: deaths) { signal.yield() }
            }
            group.addTask { [self] in await control.serve(id, interval: configuration.pollInterval) }
            group.addTask { [self] in await listen(signal) }
            group.addTask { [self] in await wakeups.run() }
            group.addTask { [self] in await poll(signal) }
            await runner.settlingParts(on: executor) { await serve(id, runner, executor, signals, signal, due, logger) }
            group.cancelAll()
        }
        // A task of its own, because this one may be cancelled; one that cannot say so now is taken for dead in a while.
        await Task { try? await registry.leave(id) }.value
        logger.info("Worker stopped")
    }

    private func listen(_ signal: AsyncStream<Void>.Continuation) async {
        let (control, queues) = (control, Set(configuration.queues))
        await listener { event in
            if case .notification(Wakeups.channel, let queue) = event, !queues.contains(queue) { return }
            if event != .notification(channel: Wakeups.controlChannel, payload: "cancel") { signal.yield() }
            if case .notification(Wakeups.channel, _) = event { return }
            control.look()
        }.run()
    }

    private func poll(_ signal: AsyncStream<Void>.Continuation) async {
        while !Task.isCancelled {
            signal.yield()
            try? await Task.sleep(for: configuration.pollInterval)  // Cancelled: the loop ends.
        }
    }

    /// Claims whenever there may be something to claim, and runs what it claimed.
    private func serve(
        _ id: WorkerID,
        _ runner: ClaimRunner,
        _ executor: any TaskExecutor,
        _ signals: AsyncStream<Void>,
        _ signal: AsyncStream<Void>.Continuation,
        _ due: Signal,
        _ logger: Logger
    ) async {
        let running = RunningClaims()
        let unsettledLimit = configuration.slots * Self.unsettledPerSlot
        var nextGiveUp = ContinuousClock.now
        var doubtUntil = ContinuousClock.now
        var floors = ClaimFloors()
        var budget = ClaimBudget(configuration)
        var notice = TroubleNotice("No quorum of lock nodes; jobs wait", isOver: "A quorum of lock nodes is back")
        var kindNotices = Dictionary(
            uniqueKeysWithValues: kinds.map { kind in
                (
                    kind,
                    TroubleNotice("Jobs of kind \(kind) are not begun", isOver: "Jobs of kind \(kind) are begun again")
                )
            }
        )
        await withDiscardingTaskGroup { group in
            for await _ in signals.cancelOnGracefulShutdown() {
                let free = min(configuration.slots - running.slots, unsettledLimit - running.unsettled)
                let bytes = Self.claimedBytes - running.bytes
                guard free > 0, bytes > 0 else { continue }
                let missingQuorum = redlock.missingQuorum
                notice.note(missingQuorum, logger)
                let obstacles = obstacles
                for kind in kinds { kindNotices[kind]?.note(obstacles[kind], logger) }
                let kinds = kinds.filter { obstacles[$0] == nil }
                guard missingQuorum == nil, !kinds.isEmpty else { continue }
                let share = budget.next(
                    free: free,
                    running: running.slots,
                    jobs: running.jobs(since: .now - configuration.runTimeSlice),
                    limit: Self.claimLimit
                )
                guard let share else { continue }
                if ContinuousClock.now >= nextGiveUp {
                    // Nothing is being claimed now, so what is held and does not run is of a claim that got no answer.
                    guard await giveUpOthers(id, running, logger) else { continue }
                    let isInDoubt = ContinuousClock.now < doubtUntil
                    nextGiveUp = .now + (isInDoubt ? Self.giveUpInterval.inDoubt : Self.giveUpInterval.usual)
                }
                let start = DefaultTracerClock.now
                let mostBytes = min(bytes, JobStore.claimBytes)
                guard let claims = await claim(for: id, kinds, share, mostBytes, &floors, logger) else {
                    nextGiveUp = .now
                    doubtUntil = .now + Self.giveUpInterval.usual
                    continue
                }
                running.begin(claims)
                budget.claimed(lines: claims.count, jobs: claims.reduce(0) { $0 + $1.jobs.count }, of: share)
                metrics.claimed(claims)
                if JobTrace.isOn { for claim in claims { claim.trace(since: start) } }
                for claim in claims {
                    group.addTask(executorPreference: executor) { [self] in
                        let settlement = await runner.run(claim) {
                            running.freeSlot(of: claim)
                            metrics.slotsUsed.decrement()
                            signal.yield()
                        }
                        let wasFull = running.unsettled >= unsettledLimit || running.bytes >= Self.claimedBytes
                        running.end(claim)
                        if wasFull { signal.yield() }
                        await moveOn(
                            claim,
                            after: settlement,
                            isFull: running.slots >= configuration.slots,
                            signal,
                            due
                        )
                    }
                }
                // There may be more.
                if claims.count == share.lines || claims.reduce(0, { $0 + $1.bytes }) >= mostBytes / 2 {
                    signal.yield()
                }
            }
            // Shutdown has ended the claiming. The group still awaits what runs.
        }
    }

    /// Why jobs of a kind cannot be begun now; only of kinds of which none can.
    var obstacles: [String: String] { handlers.compactMapValues { ($0 as? any GatedTask)?.obstacle } }

    /// Why this worker begins no job, or none of a kind, in words; `nil` when nothing keeps it.
    package var obstacle: String? {
        if let missing = redlock.missingQuorum { return missing }
        return obstacles.min { $0.key < $1.key }.map { "no job of kind \($0.key) is begun: \($0.value)" }
    }

    private func claim(
        for id: WorkerID,
        _ kinds: [String],
        _ share: ClaimBudget.Share,
        _ bytes: Int,
        _ floors: inout ClaimFloors,
        _ logger: Logger
    ) async -> [Claim]? {
        do {
            return try await store.claim(
                for: id,
                queues: configuration.queues,
                kinds: kinds,
                limit: share.lines,
                runLimit: share.runLimit,
                runDuration: share.runDuration,
                bytes: bytes,
                floors: &floors
            )
        } catch {
            // The next poll asks again. Whether this claim was committed is not known.
            if !Task.isCancelled { logger.warning("Nothing claimed", metadata: ["error": "\(error)"]) }
            return nil
        }
    }

    private func giveUpOthers(_ id: WorkerID, _ running: RunningClaims, _ logger: Logger) async -> Bool {
        do {
            let count = try await registry.giveUp(id, except: running.fences)
            if count > 0 { logger.warning("Lines of a doubtful claim given back", metadata: ["lines": "\(count)"]) }
            return true
        } catch {
            if !Task.isCancelled { logger.warning("Nothing claimed", metadata: ["error": "\(error)"]) }
            return false
        }
    }

    /// Sees to it that somebody claims the line again once it is ready.
    private func moveOn(
        _ claim: Claim,
        after settlement: (result: SettlementResult?, delay: Duration),
        isFull: Bool,
        _ signal: AsyncStream<Void>.Continuation,
        _ due: Signal
    ) async {
        guard case .settled(hasMore: true) = settlement.result else { return }
        if settlement.delay > .zero {
            // What takes longer than a poll, the usual look for what is due finds.
            guard settlement.delay < configuration.pollInterval else { return }
            await cancelWhenGracefulShutdown {
                try? await Task.sleep(for: settlement.delay)  // Cancelled: nothing is claimed any more.
            }
            return due.send()
        }
        signal.yield()
        if isFull || Task.isShuttingDownGracefully { wakeups.ready(claim.queue) }
    }
}
