import HTTPTypes
import Hummingbird

/// Lets pass who has a token for the scope of its routes, and where anyone is let in, whom no other site sends.
struct AccessMiddleware: RouterMiddleware {
    typealias Context = IntakeContext

    let scope: Token.Scope
    let gate: Gate

    @concurrent func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let problem: Problem
        var challenge = #"Bearer realm="holdfast""#
        switch gate.judge(request.headers[.authorization], for: scope) {
        case .admitted(let client):
            var context = context
            context.client = client
            return try await next(request, context)
        case .anyone:
            if let refusal = SiteCheck(isForThisMachine: gate.isForThisMachine).refusal(of: request) { throw refusal }
            return try await next(request, context)
        case .unknown(let presented):
            let detail =
                presented
                ? "the token is not good here: it is unknown, expired or revoked"
                : "a token is needed: Authorization: Bearer hft_…; holdfast tokens create makes one"
            problem = Problem(.unauthorized, detail)
            if presented { challenge += #", error="invalid_token""# }
        case .forbidden:
            problem = Problem(.forbidden, "the token has not the scope \(scope.rawValue)")
            challenge += #", error="insufficient_scope", scope="\#(scope.rawValue)""#
        case .unavailable:
            throw Problem(
                .serviceUnavailable,
                "the database is away, and tokens cannot be checked; nothing was done, try again",
                retryAfter: 1
            )
        }
        var response = try problem.response(from: request, context: context)
        response.headers[.wwwAuthenticate] = challenge
        return response
    }
}
