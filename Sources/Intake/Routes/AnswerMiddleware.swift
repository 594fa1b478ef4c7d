import HTTPTypes
import Hummingbird

/// Says of every answer what a browser and a cache may make of it, unless the route says otherwise.
struct AnswerMiddleware: RouterMiddleware {
    typealias Context = IntakeContext

    /// Whether clients reach this intake by TLS, and should always do so.
    let isSecure: Bool

    @concurrent func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        response.headers[.xContentTypeOptions] = "nosniff"
        if isSecure { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        return response
    }
}
