package import Holdfast
import Hummingbird
package import Logging
import NIOCore
package import Postgres
package import Redlock
import ServiceLifecycle

/// The HTTP API: stores jobs, shows them, reads and writes values.
package struct Intake: Service {
    private let application: Application<MethodResponder>
    private let wakeups: Wakeups
    private let watch: JobWatch
    private let tailer: EventTailer
    /// The methods and paths that it serves, as OpenAPI spells them.
    package let routes: [String]

    /// - Parameters:
    ///   - configuration: Where to listen, and the seed's values.
    ///   - pool: For jobs.
    ///   - values: The value node.
    ///   - lockNodes: What the API shows of the lock nodes; somebody else keeps them connected.
    ///   - logger: For what the server does.
    ///   - onListening: Told the port, once requests are taken.
    package init(
        configuration: IntakeConfiguration,
        pool: PostgresPool,
        values: ValueStore,
        lockNodes: [RedisLockNode],
        logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let store = JobStore(pool: pool)
        wakeups = Wakeups(pool: pool, logger: logger)
        let submissions = Submissions(store: store, wakeups: wakeups)
        let watch = JobWatch(store: store, logger: logger)
        let tailer = EventTailer(reader: EventReader(pool: pool), logger: logger)
        self.watch = watch
        self.tailer = tailer
        let router = Router(context: IntakeContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: NoStoreMiddleware())
        router.add(middleware: ProblemMiddleware())
        // The routes by the scope that each needs.
        let submit = router.group()
        let read = router.group()
        let operate = router.group()
        SeedRoutes(submissions: submissions, values: values, simulatedJob: configuration.simulatedJob)
            .add(submit: submit, read: read)
        let operations = QueueOperations(pool: pool)
        let views = QueueViews(pool: pool)
        let nodes = NodeRoutes(lockNodes: lockNodes)
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
        EventRoutes(tailer: tailer).add(read: read)
        nodes.add(read: read)
        router.get("healthz") { _, _ in "ok\n" }
        OpenAPIDocument.add(to: router)
        routes = router.routes.map { "\($0.method.rawValue) \(RouteNames.openAPI($0.path.description))" }
        // The library's own word that it listens would stand beside ours.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        application = Application(
            responder: MethodResponder(router),
            server: .http1(
                configuration: .init(
                    idleTimeout: .nanoseconds(Int64(configuration.idleTimeout / .nanoseconds(1)))
                )
            ),
            configuration: .init(
                address: .hostname(configuration.host, port: configuration.port),
                serverName: "holdfast"
            ),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? configuration.port
                logger.info("Intake listens", metadata: ["address": "http://\(configuration.host):\(port)"])
                await onListening(port)
            },
            logger: serverLogger
        )
    }

    /// Serves until shut down; requests that run are finished first.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await wakeups.run() }
            // They hold requests, which end before the server does.
            group.addTask { await cancelWhenGracefulShutdown { await watch.run() } }
            group.addTask { await cancelWhenGracefulShutdown { await tailer.run() } }
            // Throws when it cannot listen; the notifications end with it.
            defer { group.cancelAll() }
            try await application.run()
        }
    }
}
