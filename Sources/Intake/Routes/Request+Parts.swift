import Foundation
import HTTPTypes
import Holdfast
import Hummingbird
import Postgres

extension IntakeContext {
    /// The job that the path names.
    func job() throws -> JobID {
        guard let id = Int64(try parameters.require("id")), id > 0 else {
            throw InvalidField("id", "must be the number of a job, such as 42")
        }
        return JobID(id)
    }

    /// A part of the path, decoded.
    func text(_ name: String) throws -> String {
        guard let text = try parameters.require(name).removingPercentEncoding else {
            throw InvalidField(name, "must be percent-encoded UTF-8")
        }
        return text
    }
}

/// The parameters of a query, each checked as it is taken.
struct QueryFields {
    private var values: [String: [String]] = [:]
    private let known: [String]

    /// - Throws: `InvalidField` for a name that is not known, or that comes twice.
    init(_ request: Request, _ known: [String]) throws(InvalidField) {
        self.known = known
        for pair in (request.uri.query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try Self.decoded(parts[0], in: String(parts[0]))
            values[name, default: []].append(parts.count == 1 ? "" : try Self.decoded(parts[1], in: name))
        }
        for name in values.keys.sorted() {
            guard known.contains(name) else {
                throw InvalidField(
                    name.shortened(to: NewJob.maximumNameBytes),
                    "is not a parameter; the parameters are \(known.joined(separator: ", "))"
                )
            }
            guard values[name]?.count == 1 else { throw InvalidField(name, "must be given once") }
        }
    }

    /// As forms have it: a plus is a space.
    private static func decoded(_ text: Substring, in name: String) throws(InvalidField) -> String {
        guard let decoded = text.replacing("+", with: " ").removingPercentEncoding else {
            throw InvalidField(name.shortened(to: NewJob.maximumNameBytes), "must be percent-encoded UTF-8")
        }
        return decoded
    }

    func text(_ name: String) throws(InvalidField) -> String? {
        guard let text = values[name]?.first else { return nil }
        guard !text.isEmpty else { throw InvalidField(name, "must not be empty") }
        guard !text.utf8.contains(0) else { throw InvalidField(name, "must not contain a NUL character") }
        return text
    }

    func integer(_ name: String, in range: ClosedRange<Int64>) throws(InvalidField) -> Int64? {
        guard let text = try text(name) else { return nil }
        guard let value = Int64(text), range.contains(value) else {
            throw InvalidField(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func time(_ name: String) throws(InvalidField) -> PostgresTimestamp? {
        guard let text = try text(name) else { return nil }
        guard let time = PostgresTimestamp(rfc3339: text) else {
            throw InvalidField(name, "must be a time in RFC 3339, such as 2026-11-24T08:00:00Z")
        }
        return time
    }

    /// How many items a page has.
    func limit() throws(InvalidField) -> Int { Int(try integer("limit", in: 1...1000) ?? 100) }

    /// What a page begins after, as an earlier answer gave it.
    func cursor() throws(InvalidField) -> String? {
        guard let text = try text("cursor") else { return nil }
        guard let text = Cursor.read(text), !text.utf8.contains(0) else {
            throw InvalidField("cursor", "must be what an answer gave as next")
        }
        return text
    }

    /// The number that a page begins after.
    func numberCursor() throws(InvalidField) -> Int64? {
        guard let text = try cursor() else { return nil }
        guard let number = Int64(text) else { throw InvalidField("cursor", "must be what an answer gave as next") }
        return number
    }

    /// The time and the number of the event that a page of the history begins after.
    func timeCursor() throws(InvalidField) -> QueueViews.Position? {
        guard let parts = try cursor()?.split(separator: " ") else { return nil }
        guard parts.count == 2, let at = PostgresTimestamp(rfc3339: parts[0]), let id = Int64(parts[1]) else {
            throw InvalidField("cursor", "must be what an answer gave as next")
        }
        return (at, id)
    }
}

/// Where a list goes on; of no meaning to clients.
enum Cursor {
    static func make(_ text: String) -> String {
        Data(text.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
    }

    static func read(_ text: String) -> String? {
        let padding = String(repeating: "=", count: (4 - text.count % 4) % 4)
        let base64 = text.replacing("-", with: "+").replacing("_", with: "/") + padding
        return Data(base64Encoded: base64).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
