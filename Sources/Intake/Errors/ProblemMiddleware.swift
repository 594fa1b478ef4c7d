import HTTPTypes
import Holdfast
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Postgres
import Redis

/// Turns whatever a route throws into an answer that says what to do.
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = IntakeContext

    @concurrent func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            let response = try await next(request, context)
            if let count = response.body.contentLength, count > HeldBytes.small {
                try OpenConnection.current?.serving?.take(count)
            }
            return response
        } catch let problem as Problem {
            return try problem.response(from: request, context: context)
        } catch let wrong as WrongInput {
            return try wrong.response(from: request, context: context)
        } catch let field as InvalidField {
            return try Problem(.badRequest, field.description, [(field.name, field.reason)])
                .response(from: request, context: context)
        } catch let submission as InvalidSubmission {
            return try Problem(.badRequest, submission.description, submission.fields.map { ($0.name, $0.reason) })
                .response(from: request, context: context)
        } catch let batch as BatchRefusal {
            let problem = Self.problem(of: batch.refusal, job: batch.index)
            return try problem.response(from: request, context: context)
        } catch let refusal as SubmissionRefusal {
            return try Self.problem(of: refusal).response(from: request, context: context)
        } catch let error as any HTTPResponseError {
            return try Problem(error.status, Self.detail(of: error, request))
                .response(from: request, context: context)
        } catch  where error is RequestTooSlow || error is HTTPParserError || error is ChannelError {
            // The client has gone, or was told already.
            context.logger.debug("Request broken off", metadata: ["error": "\(error)"])
            return try Problem(.badRequest, "the request was broken off").response(from: request, context: context)
        } catch {
            return try unavailable(error, request.method, context).response(from: request, context: context)
        }
    }

    private func unavailable(_ error: any Error, _ method: HTTPRequest.Method, _ context: Context) -> Problem {
        let isQuestion = method == .get || method == .head
        switch error {
        case let error as PostgresError where error.code == .deadline && isQuestion:
            return Problem(
                .serviceUnavailable,
                "this takes longer than a question may; ask for less, or by key",
                retryAfter: 5
            )
        case let error as PostgresError where error.code == .poolExhausted && isQuestion:
            return Problem(.serviceUnavailable, "other questions take too long; try again later", retryAfter: 1)
        // What a function of the database says of the job that it was asked for.
        case let error as PostgresError where error.sqlState == "P0002": return Problem(.notFound, error.message)
        case let error as PostgresError where error.sqlState == "55000": return Problem(.conflict, error.message)
        case let error as PostgresError where error.isUnavailable:
            context.logger.warning("Request not served: \(error.trouble)", metadata: ["error": "\(error)"])
            let isInDoubt = error.code == .connectionLost || error.code == .deadline
            let stored =
                isQuestion
                ? "nothing was read" : isInDoubt ? "whether the job was stored is not known" : "nothing was stored"
            return Problem(.serviceUnavailable, "\(error.trouble); \(stored), try again", retryAfter: 1)
        case let error as RedisError:
            context.logger.warning("Request not served, the value node is away", metadata: ["error": "\(error)"])
            return Problem(.serviceUnavailable, "the value node is away; try again", retryAfter: 1)
        case let error as LockedLine: return Problem(.serviceUnavailable, error.description, retryAfter: 1)
        case is HeldBytes.TooMuch:
            return Problem(
                .serviceUnavailable,
                "requests take more memory than there is room for; try again later",
                retryAfter: 1
            )
        case let error as GroupCommitFull:
            return Problem(.serviceUnavailable, error.description, retryAfter: 1)
        default:
            context.logger.error("Request failed", metadata: ["error": "\(error)"])
            return Problem(.internalServerError, "something went wrong here; the log of the intake says what")
        }
    }

    private static func problem(of refusal: SubmissionRefusal, job: Int? = nil) -> Problem {
        var refusal = refusal
        if case .idempotencyKeyUsed(let key, let id) = refusal {
            refusal = .idempotencyKeyUsed(key: Client.shown(key), job: id)
        }
        let detail = (job.map { "nothing was stored: job \($0): " } ?? "") + refusal.description
        return switch refusal {
        case .queueFull, .lineFull: Problem(.tooManyRequests, detail, retryAfter: 1)
        case .idempotencyKeyUsed: Problem(.unprocessableContent, detail)
        }
    }

    private static func detail(of error: any HTTPResponseError, _ request: Request) -> String {
        switch error.status {
        case .notFound: "there is nothing at \(request.method) \(request.uri.path)"
        default: error.status.reasonPhrase
        }
    }
}
