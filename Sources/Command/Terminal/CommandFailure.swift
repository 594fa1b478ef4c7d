import Foundation

/// Why a command that was understood could not be carried out; the exit status is 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension CocoaError {
    /// What it was about, and what the system said: its own description is for programmers.
    var inWords: String {
        let reason = (underlying as? POSIXError).map { String(cString: strerror($0.code.rawValue)) }
        return [filePath, reason ?? localizedDescription].compactMap(\.self).joined(separator: ": ")
    }
}
