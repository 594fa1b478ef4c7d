import Foundation
import LocalStack
import TestSupport

/// A terminal with a shell, which tmux keeps and a test types into.
struct Terminal {
    private let socket: String
    private static let tmux = URL(filePath: "/usr/bin/tmux")

    /// Lends one of 110 columns and 30 rows, and ends it.
    static func with<Value: Sendable>(
        _ environment: [String: String],
        _ body: (Terminal) async throws -> Value
    ) async throws -> Value {
        let folder = TestServers.makeFolder("tmux")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let terminal = Terminal(socket: "\(folder)/socket")
        // Not a daemon: it is to end with the tests, however they end.
        let server = try LocalProcess(
            tmux,
            ["-D", "-f", "/dev/null", "-S", terminal.socket],
            environment: environment.merging(["PS1": "$ ", "LC_ALL": "C.UTF-8"]) { $1 }
        )
        let result: Result<Value, any Error>
        do {
            try await eventually("tmux listens") { FileManager.default.fileExists(atPath: terminal.socket) }
            try await terminal.tmux(["new-session", "-d", "-x", "110", "-y", "30", "-c", folder, "exec sh"])
            result = .success(try await body(terminal))
        } catch {
            result = .failure(error)
        }
        await server.end(with: SIGTERM, within: .seconds(60))
        return try result.get()
    }

    /// Types a line.
    func enter(_ line: String) async throws { try await press(line, "Enter") }

    /// Presses keys, as tmux names them.
    func press(_ keys: String...) async throws { try await tmux(["send-keys"] + keys) }

    /// What it shows.
    func screen() async throws -> String { try await tmux(["capture-pane", "-p"]) }

    /// Waits until it shows something; the test's time limit is the limit.
    @discardableResult
    func shows(_ text: String) async throws -> String {
        try await eventually("the terminal shows \(text)") {
            let screen = try await screen()
            return screen.contains(text) ? screen : nil
        }
    }

    @discardableResult
    private func tmux(_ arguments: [String]) async throws -> String {
        let result = try await Tool.run(Self.tmux, ["-u", "-S", socket] + arguments)
        guard result.status == 0 else { throw Program.Failed(description: "tmux \(arguments): \(result.output)") }
        return result.output
    }
}
