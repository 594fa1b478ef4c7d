import Foundation
import HTTPTypes
import Hummingbird

/// An error that a client is told, as RFC 9457 problem details.
struct Problem: Error, HTTPResponseError {
    struct Details: Encodable {
        struct Field: Encodable {
            let pointer: String
            let detail: String
        }

        let type: String
        let title: String
        let status: Int
        let detail: String
        var errors: [Field]?
    }

    let status: HTTPResponse.Status
    private(set) var details: Details
    let retryAfter: Int?

    /// - Parameters:
    ///   - status: The answer's status; its phrase is the title.
    ///   - detail: What is wrong, and what to do.
    ///   - fields: For each bad field its name, empty for the whole body, and what it must be.
    ///   - retryAfter: When to try again, in seconds.
    init(
        _ status: HTTPResponse.Status,
        _ detail: String,
        _ fields: [(name: String, detail: String)] = [],
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.retryAfter = retryAfter
        details = Details(
            type: Self.type(of: status),
            title: status.reasonPhrase,
            status: status.code,
            detail: detail,
            errors: fields.isEmpty ? nil : fields.map { .init(pointer: Self.pointer($0.name), detail: $0.detail) }
        )
    }

    /// Says where in the body the bad fields are.
    ///
    /// - Parameter fields: For each, its JSON pointer and what it must be.
    /// - Returns: The problem with them.
    func naming(_ fields: [(pointer: String, detail: String)]) -> Problem {
        var problem = self
        problem.details.errors = fields.map { .init(pointer: $0.pointer, detail: $0.detail) }
        return problem
    }

    /// The pointer to a field of an item of a list.
    static func pointer(_ index: Int, _ field: String) -> String { "/\(index)\(pointer(field))" }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var response = try JSONResponse.make(details, status: status, type: "application/problem+json")
        if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
        return response
    }

    /// The type's stable name; `/openapi.yaml` explains each.
    private static func type(of status: HTTPResponse.Status) -> String {
        let name =
            switch status {
            case .badRequest: "invalid-request"
            case .unauthorized: "unauthorized"
            case .forbidden: "forbidden"
            case .notFound: "not-found"
            case .methodNotAllowed: "method-not-allowed"
            case .conflict: "conflict"
            case .contentTooLarge: "too-large"
            case .unsupportedMediaType: "unsupported-media-type"
            case .unprocessableContent: "idempotency-key-used"
            case .tooManyRequests: "full"
            case .serviceUnavailable: "unavailable"
            case .internalServerError: "internal"
            default: "other"
            }
        return "urn:holdfast:problem:\(name)"
    }

    /// - Source: RFC 6901.
    private static func pointer(_ field: String) -> String {
        field.isEmpty ? "" : "/" + field.replacing("~", with: "~0").replacing("/", with: "~1")
    }
}
