import Foundation

/// A server that an earlier run left behind: that run was killed, and could not stop it.
struct StaleServer {
    private let pid: pid_t

    /// - Parameters:
    ///   - pidFile: Where the server wrote its process id, on the first line.
    ///   - folder: What its command line or working directory names, so that a reused process id is not taken for it.
    init?(pidFile: String, folder: String) {
        guard
            let text = try? String(contentsOfFile: pidFile, encoding: .utf8),  // No file: no server.
            let pid = text.split(separator: "\n").first.flatMap({ pid_t($0.trimmingCharacters(in: .whitespaces)) }),
            let commandLine = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
        else { return nil }
        // Gone in the meantime: nothing to stop.
        let workingFolder = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
        guard String(decoding: commandLine, as: UTF8.self).contains(folder) || workingFolder == folder else {
            return nil
        }
        self.pid = pid
    }

    /// Ends it, and waits until it has ended.
    func end(with signal: Int32) async throws {
        _ = kill(pid, SIGCONT)
        _ = kill(pid, signal)
        let deadline = ContinuousClock.now + .seconds(20)
        while kill(pid, 0) == 0 {
            guard ContinuousClock.now < deadline else {
                throw LocalStackError(
                    code: .folderInUse,
                    description: "process \(pid) of an earlier run does not end; end it with: kill -9 \(pid)"
                )
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
