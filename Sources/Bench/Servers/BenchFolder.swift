import Foundation
import LocalStack

/// Makes a folder for private servers, lends it, and removes it then.
func withBenchFolder<Value: Sendable>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-bench-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer {
        // A server that was interrupted while it started has not been stopped.
        if Task.isCancelled { LocalProcess.endAll() }
        // What such a server had started itself may write for a moment more, and a folder that grows is not removed.
        for _ in 0..<20 {
            do {
                try FileManager.default.removeItem(atPath: folder)
                break
            } catch {
                // What cannot be removed after a second is left in the temporary folder.
                usleep(50_000)
            }
        }
    }
    return try await body(folder)
}
