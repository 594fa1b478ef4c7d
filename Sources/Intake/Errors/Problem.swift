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

        let type = "about:blank"
        let title: String
        let status: Int
        let detail: String
        let errors: [Field]?
    }

    let status: HTTPResponse.Status
    let details: Details
    private let retryAfter: Int?

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
            title: status.reasonPhrase,
            status: status.code,
            detail: detail,
            errors: fields.isEmpty ? nil : fields.map { .init(pointer: Self.pointer($0.name), detail: $0.detail) }
        )
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var response = try JSONResponse.make(details, status: status, type: "application/problem+json")
        if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
        return response
    }

    /// - Source: RFC 6901.
    private static func pointer(_ field: String) -> String {
        field.isEmpty ? "" : "/" + field.replacing("~", with: "~0").replacing("/", with: "~1")
    }
}
