import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A disk that can be filled: a tmpfs of the PostgreSQL server's user, which only root can mount.
///
/// It is unmounted at this program's exit at the latest.
package final class SmallDisk: Sendable {
    private static let mounted = Mutex<Set<String>>([])
    /// Entered once: unmounts what is left at the exit.
    private static let atExit: Void = { atexit { SmallDisk.unmountAll() } }()

    /// Where it is mounted.
    package let folder: String
    private var ballast: String { "\(folder)/ballast" }

    /// A folder on it, which is the server's.
    package var data: String { "\(folder)/data" }

    /// Mounts it; `nil` when this process may not mount.
    ///
    /// - Parameters:
    ///   - folder: Made when it is missing.
    ///   - megabytes: Its size.
    /// - Throws: When the folders cannot be made.
    package init?(at folder: String, megabytes: Int) throws {
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        guard Self.mount(folder, "size=\(megabytes)m,mode=0755") else { return nil }
        Self.mounted.withLock { _ = $0.insert(folder) }
        Self.atExit
        try clear()
    }

    /// Removes what is in its folder.
    package func clear() throws {
        if FileManager.default.fileExists(atPath: data) { try FileManager.default.removeItem(atPath: data) }
        try FileManager.default.createDirectory(
            atPath: data,
            withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700]
        )
        try ServerUser.forPostgres().own(data)
    }

    /// Takes all the room that is left.
    package func fill() {
        let file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        var size: off_t = 0
        for piece: off_t in [1 << 20, 1 << 12] {
            while posix_fallocate(file, size, piece) == 0 { size += piece }
        }
    }

    /// Gives the room back.
    package func free() { unlink(ballast) }

    /// Unmounts every disk that still is mounted.
    package static func unmountAll() {
        for folder in mounted.withLock({ $0 }) { detach(folder) }
    }

    /// Unmounts it: what was on it is gone, unless it is kept, in the same place on the disk below.
    package func unmount(keepingFiles: Bool = false) async throws {
        free()
        let copy = "\(folder)-copy"
        if keepingFiles {
            // With their owners, so that a server can be started on them.
            try await LocalProcess(URL(fileURLWithPath: "/bin/cp"), ["-a", data, copy]).waitForExit()
        }
        Self.detach(folder)
        Self.mounted.withLock { _ = $0.remove(folder) }
        if keepingFiles { try FileManager.default.moveItem(atPath: copy, toPath: data) }
    }

    private static func mount(_ folder: String, _ options: String) -> Bool {
        #if canImport(Glibc)
            Glibc.mount("tmpfs", folder, "tmpfs", 0, options) == 0
        #else
            false
        #endif
    }

    /// Unmounts, though something on it may be in use.
    private static func detach(_ folder: String) {
        #if canImport(Glibc)
            umount2(folder, Int32(MNT_DETACH))
        #endif
    }
}
