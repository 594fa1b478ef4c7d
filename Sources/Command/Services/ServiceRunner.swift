import Logging
import ServiceLifecycle
import UnixSignals

/// Runs one service until it ends, or a signal ends it: the first asks it to finish, a second one hurries it.
enum ServiceRunner {
    /// - Parameters:
    ///   - service: What to run.
    ///   - drainLimit: How long it may take to finish before it is cancelled.
    ///   - endsWithParent: Whether it also ends when the process that started this one has gone.
    ///   - logger: For what goes wrong while it ends.
    /// - Throws: What the service throws.
    static func run(
        _ service: any Service,
        drainLimit: Duration,
        endsWithParent: Bool,
        _ logger: Logger
    ) async throws {
        var services = [ServiceGroupConfiguration.ServiceConfiguration(service: service, serviceName: "service")]
        if endsWithParent {
            services.append(
                .init(
                    service: ParentWatch(),
                    successTerminationBehavior: .gracefullyShutdownGroup,
                    serviceName: "parent watch"
                )
            )
        }
        var configuration = ServiceGroupConfiguration(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet(logger)
        )
        configuration.maximumGracefulShutdownDuration = drainLimit
        configuration.maximumCancellationDuration = .seconds(15)
        try await ServiceGroup(configuration: configuration).run()
    }

    /// The group's own messages are of interest to those who debug it.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}
