import ArgumentParser
import Holdfast
import Intake

/// The command `holdfast serve`.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the HTTP API.",
        discussion: """
            Any number may run at once. A job is answered once it is stored; SIGTERM finishes running requests first.

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

    @OptionGroup var common: CommonOptions
    @OptionGroup var nodes: NodeOptions

    @Flag(help: .hidden)
    var endWithParent = false

    func run() async throws {
        let own: [String: String?] = [
            "intake.port": port.map(String.init), "intake.host": host,
            "intake.simulatedJobMs": simulatedJobMs.map(String.init),
        ]
        let flags = own.merging(common.values) { $1 }.merging(nodes.values) { $1 }
        let settings = try await Settings(flags: flags, file: common.configurationFile)
        let logger = try settings.makeLogger("intake")
        var configuration = IntakeConfiguration()
        configuration.host = settings.text("intake.host") ?? configuration.host
        configuration.port = try settings.integer("intake.port", flag: "--port", in: 0...65535, default: 3000)
        configuration.simulatedJob = .milliseconds(
            try settings.integer(
                "intake.simulatedJobMs",
                flag: "--simulated-job-ms",
                in: 0...86_400_000,
                default: 10_000
            )
        )
        let backends = try settings.backends("intake", connections: 4, logger)
        try await backends.whileConnected {
            try await backends.requireSchema(logger)
            let intake = Intake(
                configuration: configuration,
                pool: backends.pool,
                values: ValueStore(node: backends.valueNode),
                lockNodes: backends.lockNodes,
                logger: logger
            )
            try await ServiceRunner.run(
                intake,
                drainLimit: .seconds(20),
                endsWithParent: endWithParent,
                logger
            )
        }
    }
}
