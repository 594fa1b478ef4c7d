import Holdfast
import Hummingbird
import NIOCore

/// The fields of a request's JSON object, each checked as it is taken.
struct JSONFields: Sendable {
    private let fields: [JSONValue.Field]
    /// A bit for each that was taken.
    private var taken: UInt64 = 0

    private init(_ fields: [JSONValue.Field]) { self.fields = fields }

    /// Reads a request's body.
    ///
    /// - Parameters:
    ///   - request: Its body may be packed by gzip.
    ///   - limit: The most bytes.
    ///   - types: The media types that are taken.
    /// - Throws: ``Problem`` when it is too large, of another type, or no JSON object.
    init(_ request: Request, limit: Int, types: [String]) async throws {
        var body = ByteBuffer()
        try await request.forEachPiece(upTo: limit, types: types) { piece in
            var piece = piece
            body.writeBuffer(&piece)
        }
        guard body.readableBytes > 0 else {
            throw Problem(.badRequest, "the body is empty; send a JSON object", [("", "must be a JSON object")])
        }
        // What is made of the body is there beside it, and only then the body goes.
        let held = body.readableBytes > HeldBytes.small ? OpenConnection.current?.serving : nil
        try held?.take(body.readableBytes)
        self = try Self.parse(body.readableBytesView)
        held?.giveBack(body.readableBytes)
    }

    /// Reads a JSON object.
    static func parse(_ bytes: some Sequence<UInt8>) throws(Problem) -> JSONFields {
        do throws(JSONParser.Failure) {
            return JSONFields(try JSONParser.fields(bytes))
        } catch {
            let reason =
                switch error {
                case .malformed: "must be a JSON object, and is not JSON"
                case .notAnObject(let typeName): "must be a JSON object, and is \(typeName)"
                case .tooManyFields: "must have at most \(JSONParser.fieldLimit) fields"
                }
            throw Problem(.badRequest, "the body \(reason)", [("", reason)])
        }
    }

    /// Takes a field out, whatever it holds; `null` if there is none.
    ///
    /// Of several of one name the last is taken, and none is left.
    mutating func take(_ name: String) -> JSONValue {
        var last: JSONValue?
        for index in fields.indices.reversed() where fields[index].name == name {
            guard taken & 1 << UInt64(index) == 0 else { continue }
            taken |= 1 << UInt64(index)
            last = last ?? fields[index].value
        }
        return last ?? .null
    }

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

    /// The names of what was not taken.
    var left: [String] {
        guard taken.nonzeroBitCount < fields.count else { return [] }
        return Set(fields.indices.filter { taken & 1 << UInt64($0) == 0 }.map { fields[$0].name }).sorted()
    }
}
