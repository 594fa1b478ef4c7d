import Hummingbird

/// Counts each request, and how long its answer took to begin.
struct MeasuringResponder: HTTPResponder {
    private let base: MethodResponder
    private let metrics = RequestMetrics()

    init(_ base: MethodResponder) { self.base = base }

    @concurrent func respond(to request: Request, context: IntakeContext) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await base.respond(to: request, context: context)
        let route = context.endpointPath.flatMap { $0 == "NotFound" ? nil : $0 }
        metrics.count(request.method, route, response.status, after: start.duration(to: .now))
        return response
    }
}
