import Foundation
import LocalStack

/// Makes a folder for private servers, lends it, and removes it then.
func withBenchFolder<Value: Sendable>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-bench-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer {
        // A server that was interrupted while it started has not been stopped, and may still write.
        if Task.isCancelled { LocalProcess.endAll() }
        // What cannot be removed is left in the temporary folder.
        try? FileManager.default.removeItem(atPath: folder)
    }
    return try await body(folder)
}
