import HTTPTypes
import Hummingbird

/// Answers OPTIONS on every route, and a method that a route does not have with 405 and those that it has.
struct MethodResponder: HTTPResponder {
    private struct Route {
        let segments: [Substring]
        var methods: Set<String>

        var parameterCount: Int { segments.count { $0.hasPrefix("{") } }

        func matches(_ path: [Substring]) -> Bool {
            path.count == segments.count && zip(segments, path).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
        }
    }

    private let base: RouterResponder<IntakeContext>
    private let routes: [Route]

    init(_ router: Router<IntakeContext>) {
        base = router.buildResponder()
        routes = Dictionary(grouping: router.routes, by: \.path.description).map { path, routes in
            var methods = Set(routes.map(\.method.rawValue) + ["OPTIONS"])
            if methods.contains("GET") { methods.insert("HEAD") }
            return Route(segments: RouteNames.openAPI(path).split(separator: "/"), methods: methods)
        }
    }

    @concurrent func respond(to request: Request, context: IntakeContext) async throws -> Response {
        if request.method == .options, let allow = allow(request) {
            return Response(status: .noContent, headers: [.allow: allow])
        }
        let response = try await base.respond(to: request, context: context)
        guard response.status == .notFound, context.endpointPath == "NotFound", let allow = allow(request) else {
            return response
        }
        let problem = Problem(.methodNotAllowed, "\(request.uri.path) does not take \(request.method.rawValue)")
        var refusal = try problem.response(from: request, context: context)
        refusal.headers[.allow] = allow
        if request.method == .head { refusal.body = ResponseBody() }
        return refusal
    }

    private func allow(_ request: Request) -> String? {
        let path = request.uri.path.split(separator: "/")
        // A path that is spelt out comes before one with a parameter.
        let matching = routes.filter { $0.matches(path) }.min { $0.parameterCount < $1.parameterCount }
        return matching?.methods.sorted().joined(separator: ", ")
    }
}

/// How a route is spelt.
enum RouteNames {
    /// A router's path as OpenAPI has it: `/v1/jobs/{id}` for `v1/jobs/:id`.
    static func openAPI(_ path: String) -> String {
        let segments = path.split(separator: "/").map { segment in
            if segment.hasPrefix(":") { return "{\(segment.dropFirst())}" }
            return segment.hasPrefix("{") ? String(segment) : String(segment)
        }
        return "/" + segments.joined(separator: "/")
    }
}
