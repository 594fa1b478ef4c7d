import HTTPTypes
import Hummingbird

/// Says of every answer under `/v1` that it is not to be kept, unless the route says otherwise.
struct NoStoreMiddleware: RouterMiddleware {
    typealias Context = IntakeContext

    @concurrent func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        if request.uri.path.hasPrefix("/v1"), response.headers[.cacheControl] == nil {
            response.headers[.cacheControl] = "no-store"
        }
        return response
    }
}
