package import Holdfast
import Hummingbird
package import Logging
import NIOCore
package import Postgres
import ServiceLifecycle

/// The HTTP API: stores jobs, shows them, reads and writes values.
package struct Intake: Service {
    private let application: Application<RouterResponder<IntakeContext>>
    private let wakeups: Wakeups

    /// - Parameters:
    ///   - configuration: Where to listen, and the seed's values.
    ///   - pool: For jobs.
    ///   - values: The value node.
    ///   - logger: For what the server does.
    ///   - onListening: Told the port, once requests are taken.
    package init(
        configuration: IntakeConfiguration,
        pool: PostgresPool,
        values: ValueStore,
        logger: Logger,
        onListening: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let store = JobStore(pool: pool)
        wakeups = Wakeups(pool: pool, logger: logger)
        let submissions = Submissions(store: store, wakeups: wakeups)
        let router = Router(context: IntakeContext.self)
        router.add(middleware: ProblemMiddleware())
        SeedRoutes(submissions: submissions, values: values, simulatedJob: configuration.simulatedJob)
            .add(to: router)
        JobRoutes(submissions: submissions, store: store).add(to: router)
        router.get("healthz") { _, _ in "ok\n" }
        // The library's own word that it listens would stand beside ours.
        var serverLogger = logger
        serverLogger.logLevel = max(logger.logLevel, .notice)
        application = Application(
            responder: router.buildResponder(),
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
            // Throws when it cannot listen; the notifications end with it.
            defer { group.cancelAll() }
            try await application.run()
        }
    }
}
