import Foundation
import SystemPackage

/// Standard output, written at once and whole, as print does not: whoever follows sees it now.
enum Output {
    static func write(_ text: String) throws {
        do {
            try FileDescriptor.standardOutput.writeAll(text.utf8)
        } catch {
            throw CommandFailure("Standard output cannot be written: \(error).")
        }
    }

    /// Writes lines; nothing when there are none.
    static func write(lines: [String]) throws {
        guard !lines.isEmpty else { return }
        try write(lines.joined(separator: "\n") + "\n")
    }

    /// Writes a value as one line of JSON.
    static func write(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(lines: [String(decoding: try encoder.encode(value), as: UTF8.self)])
    }
}
