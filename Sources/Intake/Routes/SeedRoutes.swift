import Foundation
import HTTPTypes
import Holdfast
import Hummingbird

/// The three endpoints of the example that Holdfast grew from, as its clients know them.
struct SeedRoutes: Sendable {
    let submissions: Submissions
    let values: ValueStore
    let simulatedJob: Duration

    func add(submit: some RouterMethods<IntakeContext>, read: some RouterMethods<IntakeContext>) {
        submit.post("lockAndSetValue") { request, _ in
            let (key, value) = try await Self.keyAndValue(request)
            let job = try Self.checked { () throws(InvalidField) in
                try NewJob(key: key, value: value, defaultDuration: simulatedJob)
            }
            let receipt = try await submissions.submit(job)
            return Response(status: .ok, headers: [.location: "/v1/jobs/\(receipt.id)"])
        }
        submit.post("setValue") { request, _ in
            let (key, value) = try await Self.keyAndValue(request)
            let (checkedKey, checkedValue) = try Self.checked { () throws(InvalidField) in
                (try NewJob.key(key), try NewJob.value(value))
            }
            try await values.set(checkedValue, at: checkedKey)
            return Response(status: .ok)
        }
        read.get("getValue/:key") { _, context in
            guard let text = try context.parameters.require("key").removingPercentEncoding else {
                throw WrongInput(InvalidField("key", "must be percent-encoded UTF-8"))
            }
            let key = try Self.checked { () throws(InvalidField) in try NewJob.key(text) }
            return try JSONResponse.make(try await values.value(at: key))
        }
    }

    private static func keyAndValue(_ request: Request) async throws -> (key: String, value: String) {
        var fields: JSONFields
        do {
            fields = try await JSONFields(request, limit: IntakeContext.bodyLimit, types: [])
        } catch let problem as Problem where problem.status == .badRequest {
            throw WrongInput(nil)
        }
        let (key, value) = (fields.take("key"), fields.take("value"))
        guard !key.isFalsy, !value.isFalsy else { throw WrongInput(nil) }
        guard let key = key.text else { throw WrongInput(InvalidField("key", "must be a string")) }
        guard let value = value.text else { throw WrongInput(InvalidField("value", "must be a string or a number")) }
        return (key, value)
    }

    private static func checked<Value>(_ make: () throws(InvalidField) -> Value) throws(WrongInput) -> Value {
        do throws(InvalidField) {
            return try make()
        } catch {
            throw WrongInput(error)
        }
    }
}

/// What the seed answers to input that it cannot take; where the seed has no rule, the field is named as well.
struct WrongInput: Error, HTTPResponseError {
    private struct Details: Encodable {
        let error = "Wrong input."
        let field: String?
        let detail: String?
    }

    let status = HTTPResponse.Status.badRequest
    private let field: InvalidField?

    init(_ field: InvalidField?) { self.field = field }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        try JSONResponse.make(
            Details(field: field?.name, detail: field?.description.shortened(to: Problem.detailLimit)),
            status: status
        )
    }
}
