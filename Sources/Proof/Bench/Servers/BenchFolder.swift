import Foundation
import LocalStack

/// Makes a folder for private servers, lends it, and removes it then.
func withBenchFolder<Value: Sendable>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-bench-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result: Result<Value, any Error>
    do { result = .success(try await body(folder)) } catch { result = .failure(error) }
    // A server that was interrupted while it started has not been stopped.
    if Task.isCancelled { LocalProcess.endAll() }
    try? await ServerFolder.remove(folder)  // What cannot be removed is left in the temporary folder.
    return try result.get()
}
