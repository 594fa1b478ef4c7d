import Foundation
import HTTPTypes
import Hummingbird
import Intake
import Logging
import ServiceLifecycle
import Telemetry

/// A small HTTP server for probes and scrapes, for a process that has no other.
struct HealthServer {
    /// Where more routes can be added before it is run.
    let router = Router(context: BasicRequestContext.self)
    private let host: String
    private let port: Int
    private let logger: Logger

    /// - Parameters:
    ///   - host: The address to listen on.
    ///   - port: The port; 0 takes any.
    ///   - logger: Told where it listens.
    ///   - reason: Why the process is not ready; `nil` when it is.
    init(host: String, port: Int, logger: Logger, reason: @escaping @Sendable () async -> String?) {
        self.host = host
        self.port = port
        self.logger = logger
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { _, _ in
            guard let reason = await reason() else {
                return Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(string: "ready\n")))
            }
            struct Problem: Encodable {
                let type = "about:blank", title = "Service Unavailable", status = 503, detail: String
            }
            let body = try JSONEncoder().encode(Problem(detail: "not ready: \(reason)"))
            return Response(
                status: .serviceUnavailable,
                headers: [.contentType: "application/problem+json", .retryAfter: "1"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: body))
            )
        }
    }

    /// Serves what the process counts, too.
    func show(_ metrics: MetricsRegistry) {
        router.get("metrics") { _, _ in
            Response(
                status: .ok,
                headers: [.contentType: MetricsRegistry.contentType],
                body: ResponseBody(byteBuffer: ByteBuffer(string: await metrics.render()))
            )
        }
    }

    /// Those of an intake, and less of everything: nobody but probes and scrapes has to get in.
    private static var limits: IntakeConfiguration {
        var limits = IntakeConfiguration()
        limits.maxConnections = 64
        limits.waitingMegabytes = 4
        limits.bodyTimeout = .seconds(5)
        limits.requestTimeout = .seconds(30)
        limits.idleTimeout = .seconds(30)
        return limits
    }

    /// The server, to be run.
    func makeService() -> some Service {
        Application(
            responder: router.buildResponder(),
            server: .limited(Self.limits, logger: logger),
            configuration: .init(address: .hostname(host, port: port), serverName: "holdfast"),
            onServerRunning: { [logger, host, port] channel in
                let address = "http://\(host):\(channel.localAddress?.port ?? port)"
                logger.info("Health is told", metadata: ["address": "\(address)"])
            },
            logger: ServiceRunner.quiet(logger)
        )
    }
}
