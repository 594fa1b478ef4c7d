import Foundation

/// The folder of servers that have ended.
package enum ServerFolder {
    /// Removes it, also for a cancelled caller.
    ///
    /// What a server that was ended by force had started itself may write for a moment more, and a folder that grows is
    /// not removed: it is tried again for 5 s.
    ///
    /// - Throws: When it cannot be removed.
    package static func remove(_ folder: String) async throws {
        try await Task {
            for attempt in 1... {
                guard FileManager.default.fileExists(atPath: folder) else { return }
                do {
                    return try FileManager.default.removeItem(atPath: folder)
                } catch  where attempt < 100 {
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }.value
    }
}
