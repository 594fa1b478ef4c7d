import HTTPTypes
import Hummingbird

/// Writes JSON, field by field.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false
    /// The names of the only fields that are written; `nil` for all.
    var only: Set<String>?

    /// An object.
    static func object(capacity: Int = 512, _ fields: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.bytes.reserveCapacity(capacity)
        writer.object(fields)
        return writer.bytes
    }

    /// An object as a value.
    mutating func object(_ fields: (inout JSONWriter) -> Void) {
        open(UInt8(ascii: "{"))
        fields(&self)
        close(UInt8(ascii: "}"))
    }

    /// A field with a text; none when that is `nil`.
    mutating func field(_ name: String, _ value: String?) {
        guard let value, isWritten(name) else { return }
        self.name(name)
        text(value)
    }

    mutating func field(_ name: String, _ value: Int64?) {
        guard let value, isWritten(name) else { return }
        self.name(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    mutating func field(_ name: String, _ value: Int) { field(name, Int64(value)) }

    mutating func field(_ name: String, _ value: Bool) { field(name, json: value ? "true" : "false") }

    /// A field with a JSON text; none when that is `nil`.
    mutating func field(_ name: String, json: String?) {
        guard let json, isWritten(name) else { return }
        self.name(name)
        bytes.append(contentsOf: json.utf8)
    }

    /// A field with a list of JSON texts.
    mutating func field(_ name: String, list: [String]) {
        array(name, list) { writer, item in writer.bytes.append(contentsOf: item.utf8) }
    }

    /// A field with a list of values, each of which is written by `write`.
    mutating func array<Item>(_ name: String, _ items: [Item], _ write: (inout JSONWriter, Item) -> Void) {
        self.name(name)
        open(UInt8(ascii: "["))
        for item in items {
            comma()
            needsComma = false
            write(&self, item)
            needsComma = true
        }
        close(UInt8(ascii: "]"))
    }

    private func isWritten(_ name: String) -> Bool { only?.contains(name) ?? true }

    private mutating func open(_ byte: UInt8) {
        bytes.append(byte)
        needsComma = false
    }

    private mutating func close(_ byte: UInt8) {
        bytes.append(byte)
        needsComma = true
    }

    private mutating func comma() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func name(_ name: String) {
        comma()
        text(name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func text(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: (digits.count == 1 ? #"\u000"# : #"\u00"#).utf8)
                bytes.append(contentsOf: digits.utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension JSONResponse {
    /// Answers with a JSON text.
    static func make(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
        )
    }
}
