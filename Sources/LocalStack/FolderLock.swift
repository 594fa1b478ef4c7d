import Foundation

/// A folder that one process uses at a time.
///
/// The lock ends with the process, however it ends.
package final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Takes the folder, which is made when it is missing.
    ///
    /// - Throws: ``LocalStackError`` with code `folderInUse`, and the other's process id, when it is taken.
    package init(_ folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw LocalStackError(
                code: .badFolder,
                description: "cannot write \(path): \(String(cString: strerror(errno)))"
            )
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = LogFile.contents(path).trimmingCharacters(in: .whitespacesAndNewlines)
            close(descriptor)
            throw LocalStackError(
                code: .folderInUse,
                description: "\(folder) is in use by process \(holder); stop it, or name another folder"
            )
        }
        ftruncate(descriptor, 0)
        let text = "\(getpid())\n"
        _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
    }

    deinit {
        // Closing is not enough: a child that is being spawned has the descriptor too, for a moment.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
