import Foundation
import LocalStack

/// Lends a folder for private servers, and removes it then, also when the user interrupts the program.
func withBenchFolder<Value: Sendable>(
    _ body: @escaping @Sendable (String) async throws -> Value
) async throws -> Value {
    LocalProcess.endAllAtExit()
    return try await interruptible {
        let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-bench-\(UUID().uuidString)").path
        // What cannot be removed is left in the temporary folder.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await body(folder)
    }
}
