import Foundation
import Holdfast
import Hummingbird
import NIOCore

/// The fields of a request's JSON object, each checked as it is taken.
struct JSONFields: Sendable {
    private var values: [String: JSONValue]

    init(_ values: [String: JSONValue]) { self.values = values }

    /// Reads a request's body.
    ///
    /// - Throws: ``Problem`` when it is too large or no JSON object.
    init(_ request: Request, limit: Int) async throws {
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw Problem(.contentTooLarge, "the body must have at most \(limit) bytes", [("", "is too large")])
        }
        guard body.readableBytes > 0 else {
            throw Problem(.badRequest, "the body is empty; send a JSON object", [("", "must be a JSON object")])
        }
        let value: JSONValue
        do {
            value = try JSONDecoder().decode(JSONValue.self, from: Data(body.readableBytesView))
        } catch {
            throw Problem(.badRequest, "the body is not JSON; send a JSON object", [("", "must be a JSON object")])
        }
        guard case .object(let fields) = value else {
            throw Problem(
                .badRequest,
                "the body is \(value.typeName); send a JSON object",
                [("", "must be a JSON object")]
            )
        }
        values = fields
    }

    /// Takes a field out, whatever it holds; `null` if there is none.
    mutating func take(_ name: String) -> JSONValue { values.removeValue(forKey: name) ?? .null }

    /// Takes a text that must be there.
    mutating func takeString(_ name: String) throws(InvalidField) -> String {
        switch take(name) {
        case .string(let text): return text
        case .null: throw InvalidField(name, "is missing")
        case let other: throw InvalidField(name, "must be a string, and is \(other.typeName)")
        }
    }

    /// Takes a whole number that may be missing.
    mutating func takeInteger(_ name: String) throws(InvalidField) -> Int64? {
        switch take(name) {
        case .integer(let value): return value
        case .null: return nil
        case .number: throw InvalidField(name, "must be a whole number")
        case let other: throw InvalidField(name, "must be a whole number, and is \(other.typeName)")
        }
    }

    /// Refuses what was not taken.
    func expectEmpty(known: [String]) throws(InvalidField) {
        guard let unknown = values.keys.sorted().first else { return }
        throw InvalidField(unknown, "is not a field; the fields are \(known.joined(separator: ", "))")
    }
}
