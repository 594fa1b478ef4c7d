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
    /// The methods and paths of the API, as OpenAPI spells them.
    package let routes: [String]

    /// - Parameters:
    ///   - configuration: Where to listen, who is let in, limits, and the seed's values.
    ///   - pool: For jobs and tokens.
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
        let store = JobStore(pool: pool)
        wakeups = Wakeups(pool: pool, logger: logger)
        let submissions =
            submissions
            ?? Submissions(store: store, wakeups: wakeups, waitingLimit: configuration.waitingMegabytes << 20)
        watch = JobWatch(store: store, logger: logger)
        tailer = EventTailer(reader: EventReader(pool: pool), logger: logger)
        gate = Gate(
            access: configuration.access,
            isLoopback: configuration.isLoopback,
            store: TokenStore(pool: pool),
            logger: logger
        )
        let router = Router(context: IntakeContext.self, options: .autoGenerateHeadEndpoints)
        // Of no use, and not free, where nobody wants them.
        if JobTrace.isOn { router.add(middleware: TracingMiddleware()) }
        router.add(middleware: NoStoreMiddleware())
        router.add(middleware: ProblemMiddleware())
        HealthRoutes(database: DatabaseReadiness(pool: pool), drain: drain).add(to: router)
        OpenAPIDocument.add(to: router)
        // The routes by the scope that each needs.
        let submit = router.group().add(middleware: AccessMiddleware(scope: .submit, gate: gate))
        let read = router.group().add(middleware: AccessMiddleware(scope: .read, gate: gate))
        let operate = router.group().add(middleware: AccessMiddleware(scope: .operate, gate: gate))
        SeedRoutes(submissions: submissions, values: values, simulatedJob: configuration.simulatedJob)
            .add(submit: submit, read: read)
        let operations = QueueOperations(pool: pool)
        let views = QueueViews(pool: pool)
        let nodes = NodeRoutes(lockNodes: lockNodes, valueNode: values.watched)
        let jobs = JobRoutes(
            submissions: submissions,
            store: store,
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
        MetricsRoute(metrics: metrics).add(read: read)
        let table = ConnectionTable(limit: configuration.maxConnections)
        let gauges = QueueGauges(views: views)
        metrics.addSource { await gauges.samples() }
        metrics.addSource { [watch, tailer] in
            let waiting = submissions.waiting
            return [
                MetricSample("holdfast_http_connections", table.count),
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
            server: Self.server(configuration, table, certificates, drain),
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
            defer { group.cancelAll() }
            try await application.run()
        }
    }

    private static func server(
        _ configuration: IntakeConfiguration,
        _ table: ConnectionTable,
        _ certificates: TLSCertificates?,
        _ drain: DrainState
    ) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in
            ConnectionChannel(
                responder: responder,
                limits: ConnectionState.Limits(configuration),
                decoder: .init(
                    maxHeaderFieldSize: configuration.maxHeadBytes,
                    maxHeaderListSize: configuration.maxHeadBytes,
                    maxHeaderFieldCount: configuration.maxHeaderFields
                ),
                table: table,
                drain: drain,
                certificates: certificates
            )
        }
    }
}
