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

    /// The most bytes of the detail, and of each field's.
    static let detailLimit = 1000
    /// The most fields that are named.
    static let fieldLimit = 100

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
            detail: detail.shortened(to: Self.detailLimit),
            errors: fields.isEmpty ? nil : Self.fields(fields.lazy.map { (Self.pointer($0.name), $0.detail) })
        )
    }

    /// Says where in the body the bad fields are.
    ///
    /// - Parameter fields: For each, its JSON pointer and what it must be.
    /// - Returns: The problem with them.
    func naming(_ fields: [(pointer: String, detail: String)]) -> Problem {
        var problem = self
        problem.details.errors = Self.fields(fields)
        return problem
    }

    /// As many fields as are named, each as far as is of use: what is wrong may be as long as a client likes.
    private static func fields(_ fields: some Sequence<(pointer: String, detail: String)>) -> [Details.Field] {
        fields.prefix(fieldLimit).map { pointer, detail in
            .init(pointer: pointer.shortened(to: detailLimit), detail: detail.shortened(to: detailLimit))
        }
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

extension String {
    /// The text, or as many of its bytes as are whole characters, with an ellipsis.
    func shortened(to limit: Int) -> String {
        guard utf8.count > limit else { return self }
        // What is cut in two at the end gives a replacement character, which goes.
        let start = String(decoding: utf8.prefix(limit), as: UTF8.self)
        return (start.last == "\u{FFFD}" ? String(start.dropLast()) : start) + "…"
    }
}
