import Logging

/// Tells a trace what the code under test logs.
///
/// Unchecked: one thread runs a simulation.
struct NotingLogHandler: LogHandler, @unchecked Sendable {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .debug
    let note: (String) -> Void

    init(_ note: @escaping (String) -> Void) { self.note = note }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).merging(metadata) { one, _ in one }.sorted { $0.key < $1.key }
        note("\(event.message) \(fields.map { "\($0.key)=\($0.value)" }.joined(separator: " "))")
    }
}
