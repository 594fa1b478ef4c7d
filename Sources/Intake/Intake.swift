package import Holdfast
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import Postgres
package import Redlock
import ServiceLifecycle
package import Telemetry

/// The HTTP API: stores jobs, shows them, reads and writes values.
package struct Intake: Service {
    private let application: Application<MeasuringResponder>
    private let wakeups: Wakeups
    private let watch: JobWatch
    private let tailer: EventTailer
    private let gate: Gate
    private let pools: [PostgresPool]
    /// The methods and paths of the API, as OpenAPI spells them.
    package let routes: [String]

    /// - Parameters:
    ///   - configuration: Where to listen, who is let in, limits, and the seed's values.
    ///   - pool: For jobs that are submitted one by one. The intake makes others like it: for batches and orders, for what
    ///     it needs itself, and for questions; none of these waits for another.
    ///   - values: The value node.
    ///   - lockNodes: What the API shows of the lock nodes; somebody else keeps them connected.
    ///   - certificates: For TLS; `nil` speaks plain HTTP.
    ///   - drain: Says when to close connections after their answers, and not to be ready.
    ///   - submissions: Stores jobs; `nil`: in the database.
    ///   - metrics: What `/metrics` shows; the intake adds what can be seen of it.
    ///   - logger: For what the server does.
    ///   - onListening: Told the port, once requests are taken.
    package init(
        configuration: IntakeConfiguration,
        pool: PostgresPool,
        values: ValueStore,
        lockNodes: [RedisLockNode],
        certificates: TLSCertificates? = nil,
        drain: DrainState = DrainState(),
        submissions: Submissions? = nil,
        metrics: MetricsRegistry = MetricsRegistry(),
        logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let budget = ByteBudget(limit: configuration.waitingMegabytes << 20)
        let table = ConnectionTable(limit: configuration.maxConnections, budget: budget, logger: logger)
        let (orders, control, reads) = (pool.another(size: 2), pool.another(size: 2), pool.another(size: 2))
        pools = [orders, control, reads]
        let store = JobStore(pool: pool)
        wakeups = Wakeups(pool: pool, logger: logger)
        let submissions =
            submissions
            ?? Submissions(
                store: store,
                batchStore: JobStore(pool: orders),
                wakeups: wakeups,
                waitingLimit: configuration.waitingMegabytes << 20
            )
        // What lasts is being served, and makes no place: there are places that it cannot have.
        watch = JobWatch(
            store: JobStore(pool: control),
            limit: max(1, configuration.maxConnections / 2),
            logger: logger
        )
        gate = Gate(
            access: configuration.access,
            isLoopback: configuration.isLoopback,
            store: TokenStore(pool: control),
            logger: logger
        )
        tailer = EventTailer(
            reader: EventReader(pool: reads),
            limit: max(1, min(EventTailer.listenerLimit, configuration.maxConnections / 4)),
            isAdmitted: { [gate] in gate.admits($0, for: .read) },
            logger: logger
        )
        let router = Router(context: IntakeContext.self, options: .autoGenerateHeadEndpoints)
        // Of no use, and not free, where nobody wants them.
        if JobTrace.isOn { router.add(middleware: TracingMiddleware()) }
        router.add(middleware: AnswerMiddleware(isSecure: certificates != nil))
        router.add(middleware: ProblemMiddleware())
        HealthRoutes(database: DatabaseReadiness(pool: control), drain: drain).add(to: router)
        OpenAPIDocument.add(to: router)
        // The routes by the scope that each needs.
        let submit = router.group().add(middleware: AccessMiddleware(scope: .submit, gate: gate))
        let read = router.group().add(middleware: AccessMiddleware(scope: .read, gate: gate))
        let operate = router.group().add(middleware: AccessMiddleware(scope: .operate, gate: gate))
        let scrape = router.group().add(middleware: AccessMiddleware(scope: .metrics, gate: gate))
        SeedRoutes(submissions: submissions, values: values, simulatedJob: configuration.simulatedJob)
            .add(submit: submit, read: read)
        let operations = QueueOperations(pool: orders)
        let views = QueueViews(pool: reads, deadline: Self.questionDeadline)
        let nodes = NodeRoutes(lockNodes: lockNodes, valueNode: values.watched)
        let jobs = JobRoutes(
            submissions: submissions,
            submitted: store,
            store: JobStore(pool: reads, deadline: Self.questionDeadline),
            operations: operations,
            views: views,
            watch: watch,
            nodes: nodes
        )
        jobs.add(submit: submit, read: read)
        jobs.add(operate: operate)
        BatchRoutes(submissions: submissions).add(submit: submit)
        QueueRoutes(views: views, values: values, operations: operations).add(read: read, operate: operate)
        TimeRoutes(views: views).add(read: read)
        EventRoutes(tailer: tailer).add(read: read)
        nodes.add(read: read)
        MetricsRoute(metrics: metrics).add(metrics: scrape)
        let gauges = QueueGauges(views: QueueViews(pool: control))
        metrics.addSource { await gauges.samples() }
        metrics.addSource { [pools] in
            zip(["orders", "control", "questions"], pools).flatMap { name, pool in
                let status = pool.status
                return [("idle", status.idle), ("lent", status.lent), ("opening", status.opening)].map { state, count in
                    MetricSample("holdfast_database_connections", count, [("state", state), ("pool", name)])
                } + [
                    MetricSample("holdfast_database_connections_limit", pool.size, [("pool", name)]),
                    MetricSample("holdfast_database_waiters", status.waiting, [("pool", name)]),
                ]
            }
        }
        metrics.addSource { [watch, tailer] in
            let waiting = submissions.waiting
            return [
                MetricSample("holdfast_http_connections", table.count),
                MetricSample("holdfast_http_held_bytes", budget.taken),
                MetricSample("holdfast_http_held_limit_bytes", budget.limit),
                MetricSample("holdfast_submissions_waiting", waiting.count),
                MetricSample("holdfast_submissions_waiting_bytes", waiting.bytes),
                MetricSample("holdfast_submissions_waiting_limit_bytes", submissions.waitingLimit),
                MetricSample("holdfast_job_watchers", watch.waiterCount),
                MetricSample("holdfast_event_listeners", tailer.listenerCount),
            ]
        }
        routes = router.routes.map { "\($0.method.rawValue) \(RouteNames.openAPI($0.path.description))" }
        // Its pages are no part of the API, and no secret: they have no data.
        Dashboard.add(to: router)
        // The library's own word that it listens would stand beside ours.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        application = Application(
            responder: MeasuringResponder(MethodResponder(router)),
            server: .limited(configuration, table, certificates: certificates, drain: drain),
            configuration: .init(
                address: .hostname(configuration.host, port: configuration.port),
                serverName: "holdfast"
            ),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? configuration.port
                let scheme = certificates == nil ? "http" : "https"
                logger.info("Intake listens", metadata: ["address": "\(scheme)://\(configuration.host):\(port)"])
                await onListening(port)
            },
            logger: serverLogger
        )
    }

    /// How long a question may take: a filter that few jobs pass may have to look at all of them.
    private static let questionDeadline: Duration = .seconds(5)

    /// Serves until shut down; requests that run are finished first.
    package func run() async throws {
        await gate.prepare()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await wakeups.run() }
            // They hold requests, which end before the server does.
            group.addTask { await cancelWhenGracefulShutdown { await watch.run() } }
            group.addTask { await cancelWhenGracefulShutdown { await tailer.run() } }
            group.addTask { await gate.run() }
            // Throws when it cannot listen; the notifications end with it.
            defer {
                group.cancelAll()
                for pool in pools { pool.close() }
            }
            try await application.run()
        }
    }
}
