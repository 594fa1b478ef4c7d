import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// Runs services until one ends, or a signal ends it: the first asks it to finish, a second one hurries it.
enum ServiceRunner {
    /// - Parameters:
    ///   - running: What to run; they are shut down one by one, the last one first.
    ///   - drainLimit: How long they may take to finish before they are cancelled.
    ///   - endsWithParent: Whether it also ends when the process that started this one has gone.
    ///   - logger: For what goes wrong while it ends.
    /// - Throws: What a service throws.
    static func run(
        _ running: [any Service],
        drainLimit: Duration,
        endsWithParent: Bool,
        _ logger: Logger
    ) async throws {
        // A log whose reader has gone is written on, to nobody.
        signal(SIGPIPE, SIG_IGN)
        var services = running.map {
            ServiceGroupConfiguration.ServiceConfiguration(service: $0, serviceName: "\(type(of: $0))")
        }
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

    /// For libraries, whose own messages are of interest to those who debug them.
    static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }
}
