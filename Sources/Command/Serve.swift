import ArgumentParser
import Holdfast
import Intake
import Logging
import Postgres
import ServiceLifecycle

/// The command `holdfast serve`.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the HTTP API.",
        discussion: """
            Any number may run at once. A job is answered once it is stored. SIGTERM: /readyz says no, connections are \
            closed after their answers, and running requests finished first. SIGHUP reads the certificate again, if there is one.

            On loopback anyone is let in until a token has been made (holdfast tokens create); elsewhere a token is needed.

            Example:
              holdfast serve --port 3000
              curl -i localhost:3000/v1/jobs -H 'content-type: application/json' -d '{"key":"demo","value":"A"}'
            """
    )

    @Option(help: "The port. HOLDFAST_INTAKE_PORT, intake.port. Default: 3000; 0 takes any.")
    var port: Int?

    @Option(help: "The address to listen on. HOLDFAST_INTAKE_HOST, intake.host. Default: 127.0.0.1.")
    var host: String?

    @Option(
        name: .customLong("simulated-job-ms"),
        help:
            "How long the job of POST /lockAndSetValue takes, in ms. HOLDFAST_INTAKE_SIMULATED_JOB_MS. Default: 10000."
    )
    var simulatedJobMs: Int?

    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Limits") var limits: LimitOptions
    @OptionGroup var common: CommonOptions
    @OptionGroup var nodes: NodeOptions

    @Flag(help: .hidden)
    var endWithParent = false

    func run() async throws {
        let own: [String: String?] = [
            "intake.port": port.map(String.init), "intake.host": host,
            "intake.simulatedJobMs": simulatedJobMs.map(String.init),
        ]
        let flags = [access.values, limits.values, common.values, nodes.values].reduce(own) { $0.merging($1) { $1 } }
        let settings = try await Settings(flags: flags, file: common.configurationFile)
        let logger = try settings.makeLogger("intake")
        let configuration = try configuration(settings)
        let certificates = try settings.certificates()
        let drainDelay = try settings.seconds("intake.drainDelaySeconds", "--drain-delay-seconds", 0...3600, .zero)
        let drainLimit = try settings.seconds("intake.drainSeconds", "--drain-seconds", 0...3600, .seconds(20))
        do {
            try OpenFiles.provide(for: configuration.maxConnections)
        } catch {
            throw InvalidSetting("--max-connections: \(error)")
        }
        let metrics = Settings.startMetrics()
        let backends = try settings.backends("intake", connections: 2, planning: .avoidingScans, logger)
        try await backends.whileConnected {
            try await backends.requireIndependentNodes()
            let watch = try await backends.requireDatabase(logger)
            try await Self.requireProtection(configuration, TokenStore(pool: backends.pool), logger)
            backends.report(to: metrics)
            let drain = DrainState()
            let intake = Intake(
                configuration: configuration,
                pool: backends.pool,
                values: ValueStore(backends.valueNode),
                lockNodes: backends.lockNodes,
                certificates: certificates,
                drain: drain,
                metrics: metrics,
                logger: logger
            )
            let listening = Listening(server: intake, host: configuration.host, port: configuration.port)
            var services: [any Service] = [listening, DrainNotice(drain: drain, delay: drainDelay)]
            if let watch { services.append(watch) }
            // Last to end, or the signal would end what still drains.
            services.insert(await Reload(certificates: certificates, logger: logger), at: 0)
            try await ServiceRunner.run(
                services,
                drainLimit: drainDelay + drainLimit,
                endsWithParent: endWithParent,
                logger
            )
        }
    }

    private func configuration(_ settings: Settings) throws -> IntakeConfiguration {
        var configuration = IntakeConfiguration()
        configuration.host = try settings.text("intake.host") ?? configuration.host
        configuration.port = try settings.integer("intake.port", flag: "--port", in: 0...65535, default: 3000)
        configuration.simulatedJob = .milliseconds(
            try settings.integer(
                "intake.simulatedJobMs",
                flag: "--simulated-job-ms",
                in: 0...86_400_000,
                default: 10_000
            )
        )
        configuration.access = try settings.access()
        try settings.limit(&configuration)
        return configuration
    }

    /// Checks that what others can reach asks for tokens that there are.
    private static func requireProtection(
        _ configuration: IntakeConfiguration,
        _ tokens: TokenStore,
        _ logger: Logger
    ) async throws {
        guard configuration.access != .open else {
            if !configuration.isLoopback {
                logger.warning(
                    "Anyone who reaches this address is let in",
                    metadata: ["address": "\(configuration.host)"]
                )
            }
            return
        }
        guard configuration.access == .automatic, !configuration.isLoopback else { return }
        do {
            if try await tokens.hasAny() { return }
        } catch let error as PostgresError where error.isUnavailable {
            // Tokens are asked for all the same.
            return logger.warning("Tokens not checked: \(error.trouble)", metadata: ["error": "\(error)"])
        }
        throw InvalidSetting(
            """
            Others can reach \(configuration.host), and there is no token yet: make one (holdfast tokens create NAME \
            --scopes submit,read), listen on 127.0.0.1, or say --insecure to let anyone in. --require-tokens starts \
            without a token, and lets nobody in until there is one.
            """
        )
    }
}
