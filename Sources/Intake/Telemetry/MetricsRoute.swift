import HTTPTypes
import Hummingbird
import NIOCore
import Telemetry

/// `GET /metrics`, for Prometheus.
struct MetricsRoute: Sendable {
    let metrics: MetricsRegistry

    func add(metrics scope: some RouterMethods<IntakeContext>) {
        scope.get("metrics") { _, _ in
            Response(
                status: .ok,
                headers: [.contentType: MetricsRegistry.contentType, .cacheControl: "no-store"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: await metrics.render()))
            )
        }
    }
}
