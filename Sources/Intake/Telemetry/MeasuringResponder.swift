import Holdfast
import Hummingbird
import Logging

/// Counts each request, and how long its answer took to begin; what is logged of it names its trace.
struct MeasuringResponder: HTTPResponder {
    private let base: MethodResponder
    private let metrics = RequestMetrics()

    init(_ base: MethodResponder) { self.base = base }

    @concurrent func respond(to request: Request, context: IntakeContext) async throws -> Response {
        let start = ContinuousClock.now
        var context = context
        if let trace = request.traceparent.flatMap(TraceParent.init) {
            context.logger[metadataKey: "trace.id"] = "\(trace.traceID)"
        }
        let response = try await base.respond(to: request, context: context)
        let route = context.endpointPath.flatMap { $0 == "NotFound" ? nil : $0 }
        metrics.count(request.method, route, response.status, after: start.duration(to: .now))
        return response
    }
}
