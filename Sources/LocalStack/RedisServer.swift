import Foundation
import Synchronization

/// A private Redis node on loopback, on a free port, its data in a folder of its own.
package final class RedisServer: Sendable {
    private struct State {
        var port: Int
        var process: LocalProcess?
    }

    /// Options that make a node persist every write before it answers: a restart loses no lock.
    package static let persistent = ["--appendonly", "yes", "--appendfsync", "always"]

    package let folder: String
    private let options: [String]
    private let launcher: [String]
    private let environment: [String: String]
    private let state: Mutex<State>

    private init(folder: String, options: [String], launcher: [String], environment: [String: String]) {
        self.folder = folder
        self.options = options
        self.launcher = launcher
        self.environment = environment
        state = Mutex(State(port: 0))
    }

    /// Starts a node.
    ///
    /// - Parameters:
    ///   - folder: For its data and its log, made when it is missing.
    ///   - options: More arguments for `redis-server`, such as `["--appendonly", "yes"]`.
    ///   - launcher: The command that runs its command, such as `["/usr/bin/nice"]`; it becomes the server's process.
    ///   - environment: Added to this process' own, as that of a ``SteppedClock``.
    /// - Returns: The node, ready.
    /// - Throws: ``LocalStackError`` when it is not installed or does not come up.
    package static func start(
        in folder: String,
        options: [String] = [],
        launcher: [String] = [],
        environment: [String: String] = [:]
    ) async throws -> RedisServer {
        let path = URL(fileURLWithPath: folder).path
        let server = RedisServer(folder: path, options: options, launcher: launcher, environment: environment)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try server.identify()
        if let stale = StaleServer(pidFile: "\(server.folder)/redis.pid", folder: server.folder) {
            try await stale.end(with: SIGTERM)
        }
        // Another process may take the free port first; a second port is then as good.
        var lastError: (any Error)?
        for _ in 0..<5 {
            server.state.withLock { $0.port = FreePort.find() }
            do {
                try await server.start()
                return server
            } catch let error as LocalStackError where error.code == .notReady {
                lastError = error
            }
        }
        throw lastError!  // The loop ran, and ended by no return.
    }

    /// Gives a new node the identity of one that has forgotten nothing: nobody has had a lock on it.
    ///
    /// A node without one has no vote for a minute: it may have been emptied.
    private func identify() throws {
        guard try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty else { return }
        let words = ["SET", "holdfast:node", "new.\(UUID().uuidString)"]
        let command = "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        // The log as servers before 7 keep it, which later ones take over; read only by one that persists its writes.
        try Data(command.utf8).write(to: URL(fileURLWithPath: "\(folder)/appendonly.aof"))
    }

    package var port: Int { state.withLock(\.port) }

    /// Its URL, `redis://127.0.0.1:port`.
    package var url: String { "redis://127.0.0.1:\(port)" }

    /// The process that serves now, or served last.
    package var process: LocalProcess? { state.withLock(\.process) }

    /// Starts it again after ``stop()`` or ``kill()``, on the same port and with the data that it left.
    package func start() async throws {
        let log = "\(folder)/redis.log"
        let process = try LocalProcess(
            ServerProgram.redisServer.locate(),
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder, "--pidfile", "\(folder)/redis.pid",
                "--daemonize", "no", "--save", "",
            ] + options,
            launcher: launcher,
            environment: environment,
            output: LogFile.truncated(log)
        )
        state.withLock { $0.process = process }
        try await Readiness.wait(for: process, called: "redis-server", log: log) {
            // Its own word: a connection would succeed as well with somebody else's server on that port.
            LogFile.contents(log).contains("Ready to accept connections")
        }
    }

    /// Ends it in order, with its data written as configured.
    package func stop() async {
        resume()
        await process?.end(with: SIGTERM)
    }

    /// Ends it by SIGKILL, and waits until it is gone.
    package func kill() async {
        await process?.end(with: SIGKILL)
    }

    /// Freezes it: connections stay open, and nothing is answered.
    package func pause() { process?.signal(SIGSTOP) }

    /// Thaws it.
    package func resume() { process?.signal(SIGCONT) }

    /// Throws its data away, as a node that is replaced; only while it is stopped.
    package func removeData() throws {
        precondition(process?.isRunning != true, "a running node keeps its data")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name != "redis.log" {
            try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }
}
