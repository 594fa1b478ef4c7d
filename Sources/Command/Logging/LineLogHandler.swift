import Foundation
import Logging
import Postgres

/// Writes each event as one line on standard error, for people or as JSON.
struct LineLogHandler: LogHandler {
    enum Format: String, CaseIterable, Sendable { case text, json }

    let label: String
    let format: Format
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(label: String, format: Format, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = event.metadata.map { metadata.merging($0) { $1 } } ?? metadata
        if let error = event.error { fields["error"] = "\(error)" }
        let now = PostgresTimestamp(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))
        let line =
            switch format {
            case .text: text(event, fields, now)
            case .json: json(event, fields, now)
            }
        LineWriter.standardError.write(line + "\n")
    }

    private func text(_ event: LogEvent, _ fields: Logger.Metadata, _ now: PostgresTimestamp) -> String {
        let level = event.level.rawValue.uppercased().padding(toLength: 7, withPad: " ", startingAt: 0)
        var line = "\(now.rfc3339(.milliseconds)) \(level) \(label): \(event.message)"
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(Self.quoted("\(value)"))"
        }
        return line
    }

    private func json(_ event: LogEvent, _ fields: Logger.Metadata, _ now: PostgresTimestamp) -> String {
        var object = fields.mapValues { "\($0)" }
        object["time"] = now.rfc3339(.milliseconds)
        object["level"] = event.level.rawValue
        object["label"] = label
        object["message"] = "\(event.message)"
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // A dictionary of strings always has a JSON form.
        return (try? encoder.encode(object)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// A value as it is where it reads as one word, else quoted, on one line.
    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" }
        guard !isPlain else { return text }
        return "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").printable)\""
    }
}
