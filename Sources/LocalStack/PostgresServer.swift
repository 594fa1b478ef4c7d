import Foundation
import Synchronization

/// A private PostgreSQL server that listens on a Unix socket only, its data in a folder of its own.
package final class PostgresServer: Sendable {
    package let folder: String
    let settings: [String]
    let launcher: [String]
    let socketFolder: String
    private let user: ServerUser
    private let current = Mutex<LocalProcess?>(nil)

    var dataFolder: String { "\(folder)/data" }
    private var log: String { "\(folder)/postgres.log" }

    init(folder: String, settings: [String], launcher: [String] = []) throws {
        self.folder = folder
        self.settings = settings
        self.launcher = launcher
        user = try ServerUser.forPostgres()
        // A socket's path has at most 107 bytes.
        let near = "\(folder)/socket"
        let isShort = "\(near)/.s.PGSQL.5432".utf8.count <= 107
        socketFolder = isShort ? near : try Self.makeTemporaryFolder()
    }

    /// Starts a server; its data are made when the folder has none.
    ///
    /// - Parameters:
    ///   - folder: For its data, socket and log, made when it is missing.
    ///   - settings: More settings, such as `["max_connections=200"]`.
    ///   - launcher: The command that runs its command, such as `["/usr/bin/nice"]`; it becomes the server's process.
    /// - Returns: The server, ready.
    /// - Throws: ``LocalStackError`` when it is not installed or does not come up.
    package static func start(
        in folder: String,
        settings: [String] = [],
        launcher: [String] = []
    ) async throws -> PostgresServer {
        let path = URL(fileURLWithPath: folder).path
        let server = try PostgresServer(folder: path, settings: settings, launcher: launcher)
        try await server.makeData(
            by: .initdb,
            ["-U", "holdfast", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]
        )
        try await server.start()
        return server
    }

    /// A libpq connection URI for one of its databases, as its owner or another role.
    package func connectionString(database: String = "postgres", user: String = "holdfast") -> String {
        "postgresql:///\(database)?host=\(host)&user=\(user)"
    }

    /// The socket that it listens on.
    package var socket: String { "\(socketFolder)/.s.PGSQL.5432" }

    /// How a URI names it.
    var host: String {
        // `/` may stand in a query as it is; what else is reserved may not.
        socketFolder.addingPercentEncoding(
            withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "/-._~"))
        ) ?? socketFolder
    }

    /// The process that serves now, or served last.
    package var process: LocalProcess? { current.withLock { $0 } }

    /// Starts it again after ``stop()`` or ``kill()``; what had been committed is there.
    package func start() async throws {
        // After a kill its children may live for a moment, and the server refuses to start beside them.
        for attempt in 1... {
            do {
                return try await startOnce()
            } catch let error as LocalStackError where error.code == .notReady && attempt < 20 {
                guard LogFile.contents(log).contains("pre-existing shared memory") else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func startOnce() async throws {
        var arguments = [
            "-D", dataFolder, "-c", "listen_addresses=", "-c", "unix_socket_directories=\(socketFolder)",
            "-c", "max_connections=300", "-c", "timezone=UTC", "-c", "log_timezone=UTC",
            // As a standby, it follows a primary that was restarted at once.
            "-c", "wal_retrieve_retry_interval=100ms",
        ]
        for setting in settings { arguments += ["-c", setting] }
        let (program, full) = try user.command(.postgres, arguments)
        let process = try LocalProcess(
            program,
            full,
            launcher: launcher,
            output: LogFile.truncated(log),
            signalAtExit: SIGQUIT
        )
        current.withLock { $0 = process }
        let pidFile = "\(dataFolder)/postmaster.pid"
        try await Readiness.wait(for: process, called: "postgres", log: log) {
            let lines = LogFile.contents(pidFile).split(separator: "\n", omittingEmptySubsequences: false)
            return lines.first == "\(process.pid)" && lines.dropFirst(7).first?.hasPrefix("ready") == true
        }
    }

    /// Makes a database unless there is one of that name.
    package func createDatabase(_ name: String) async throws {
        let (status, output) = try await run(.createdb, ["-h", socketFolder, "-U", "holdfast", name])
        guard status == 0 || output.contains("already exists") else {
            throw LocalStackError(code: .notReady, description: "cannot create database \(name): \(output)")
        }
    }

    /// Runs one of PostgreSQL's programs to its end.
    ///
    /// - Parameters:
    ///   - program: Its output goes to a log of its name.
    ///   - arguments: Its arguments.
    ///   - isServer: Whether it runs as the server's user, as what touches the data must.
    /// - Returns: Its exit status, and what it printed.
    /// - Throws: When it cannot be started.
    func run(
        _ program: ServerProgram,
        _ arguments: [String],
        asServer isServer: Bool = false
    ) async throws -> (status: Int32?, output: String) {
        let log = "\(folder)/\(program.rawValue).log"
        let (path, full) = isServer ? try user.command(program, arguments) : (try program.locate(), arguments)
        let process = try LocalProcess(path, full, output: LogFile.truncated(log))
        await process.waitForExit()
        return (process.exitStatus, LogFile.contents(log).trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Ends it in order: open transactions are rolled back, and everything is written.
    package func stop() async {
        resume()
        await process?.end(with: SIGINT, within: .seconds(30))
        if socketFolder.hasPrefix("/tmp/holdfast-socket-") {
            try? FileManager.default.removeItem(atPath: socketFolder)  // What is left is an empty folder in /tmp.
        }
    }

    /// Ends it by SIGKILL, and waits until it is gone.
    package func kill() async {
        await process?.end(with: SIGKILL)
    }

    /// Freezes its main process: new connections get no answer.
    package func pause() { process?.signal(SIGSTOP) }

    /// Thaws it.
    package func resume() { process?.signal(SIGCONT) }

    /// Freezes all its processes: what is connected gets no answer either, and nobody is told.
    package func freeze() { signalAll(SIGSTOP) }

    /// Thaws all of them.
    package func thaw() { signalAll(SIGCONT) }

    /// The main process first: it starts no more of them then, and those that there are have it as their parent.
    private func signalAll(_ signal: Int32) {
        guard let process, process.isRunning else { return }
        process.signal(signal)
        // What has ended meanwhile is not there.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let child = pid_t(name),
                let stat = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
                // After the program's name in parentheses: its state, and its parent.
                let fields = stat.split(separator: ")").last?.split(separator: " "), fields.count > 1,
                fields[1] == "\(process.pid)"
            else { continue }
            _ = Foundation.kill(child, signal)
        }
    }

    /// Makes its folders, and its data by a program that is told where they go, unless they are there.
    func makeData(by program: ServerProgram, _ arguments: [String]) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for folder in [dataFolder, socketFolder] {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            try user.own(folder)
        }
        if let stale = StaleServer(pidFile: "\(dataFolder)/postmaster.pid", folder: dataFolder) {
            try await stale.end(with: SIGINT)
        }
        guard !FileManager.default.fileExists(atPath: "\(dataFolder)/PG_VERSION") else { return }
        let (status, output) = try await run(program, ["-D", dataFolder] + arguments, asServer: true)
        guard status == 0 else {
            throw LocalStackError(
                code: .badFolder,
                description: "cannot make a database in \(dataFolder): \(output.suffix(400)); choose another folder"
            )
        }
    }

    private static func makeTemporaryFolder() throws -> String {
        let path = "/tmp/holdfast-socket-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700]
        )
        return path
    }
}
