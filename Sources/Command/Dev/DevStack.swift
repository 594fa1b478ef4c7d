import Foundation
import Holdfast
import LocalStack
import Logging
import Postgres
import Synchronization

/// Everything that `holdfast dev` runs: the servers in this process' care, the intake and the workers as processes of
/// this same program.
final class DevStack: Sendable {
    /// Why it ended by itself.
    struct Failure: Error, CustomStringConvertible { let description: String }

    private let folder: String
    private let port: Int
    private let workers: Int
    private let logLevel: String
    private let progress: Progress
    private let stopping = Mutex(false)
    private let care = LockNodeCare()
    private let (stops, stopped) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(folder: String, port: Int, workers: Int, logLevel: String, progress: Progress) {
        self.folder = folder
        self.port = port
        self.workers = workers
        self.logLevel = logLevel
        self.progress = progress
    }

    /// Whether it has been asked to stop.
    var isStopping: Bool { stopping.withLock { $0 } }

    /// Asks it to stop, whatever it is doing.
    func stop() {
        stopping.withLock { $0 = true }
        stopped.yield()
    }

    /// Starts the lock nodes again that have ended.
    func reviveNodes() { care.revive() }

    /// Runs until it is stopped, or a part of it other than a lock node ends; stops the rest in order then.
    ///
    /// - Parameter onReady: Called once all is ready; cancelled when the stack is to stop.
    /// - Throws: What kept it from starting, or ended it.
    func run(onReady: @escaping @Sendable (Ready) async throws -> Void) async throws {
        var running = Running()
        do {
            try await start(&running, onReady)
        } catch {
            // Before what it takes to stop, so that nobody wonders; once more at the end, as the error.
            if !isStopping { progress.say("\n\(error)", end: "") }
            await end(running)
            // Asked to stop in the midst of it: that is no failure.
            if isStopping { return }
            throw error
        }
        await end(running)
    }

    private func start(
        _ running: inout Running,
        _ onReady: @escaping @Sendable (Ready) async throws -> Void
    ) async throws {
        let servers = try await progress.step("Starting PostgreSQL and 3 Redis nodes in \(folder)") {
            try await LocalStack.start(in: folder)
        }
        running.servers = servers
        let pool = PostgresPool(
            configuration: try PostgresConfiguration(connectionString: servers.databaseURL, applicationName: "dev"),
            size: 2,
            logger: Logger(label: "dev") { LineLogHandler(label: $0, format: .text, level: .error) }
        )
        defer { pool.close() }
        try await progress.step("Migrating") {
            _ = try await Migrator(pool: pool, logger: Logger(label: "dev") { _ in SwiftLogNoOpLogHandler() }).migrate()
            // The parts run with no more than they need, as they should everywhere.
            _ = try await pool.withConnection { connection in
                try await connection.executeScript("alter role holdfast_intake login; alter role holdfast_worker login")
            }
        }
        let port = port == 0 ? FreePort.find() : port
        try requireFree(port)
        try await progress.step("Starting the intake and \(workers) workers", logs: true) {
            running.intake = try launch(["serve", "--port", "\(port)"], servers, as: "holdfast_intake")
            for number in 1...workers {
                running.workers.append(
                    try launch(["work", "--name", "worker-\(number)"], servers, as: "holdfast_worker")
                )
            }
            try await waitUntilReady(running, pool, port)
        }
        let ready = Ready(servers: servers, port: port, pool: pool)
        // Whether the stack is to end when the task has.
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [stops] in
                for await _ in stops { break }
                return true
            }
            for (name, process) in running.processes {
                group.addTask {
                    await process.waitForExit()
                    try Task.checkCancellation()
                    throw Failure(
                        description: "\(name) (process \(process.pid)) has ended by itself; its log says why"
                    )
                }
            }
            group.addTask { [care] in
                await care.run(servers.nodes)
                return false
            }
            group.addTask {
                try await onReady(ready)
                return false
            }
            defer { group.cancelAll() }
            while let ends = try await group.next(), !ends {}
        }
    }

    private func launch(_ arguments: [String], _ servers: LocalStack, as role: String) throws -> LocalProcess {
        try LocalProcess(
            URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(),
            arguments + ["--end-with-parent", "--log-level", logLevel],
            environment: [
                "HOLDFAST_DATABASE_URL": servers.databaseURL(for: role),
                "HOLDFAST_LOCK_NODES": servers.nodes.map(\.url).joined(separator: ","),
                "HOLDFAST_VALUE_NODE": servers.nodes[0].url,
            ],
            output: nil
        )
    }

    private func requireFree(_ port: Int) throws {
        guard FreePort.isFree(port) else {
            throw Failure(description: "port \(port) is in use; choose another with --port, or 0 for any")
        }
    }

    private func waitUntilReady(_ running: Running, _ pool: PostgresPool, _ port: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        let registered = Statement(
            name: "dev_workers",
            sql: "select count(*) from holdfast.live_workers"
        )
        while true {
            let count = try await pool.execute(registered)[0].decode(Int.self, at: 0)
            // Listening, and by nobody else: the port was free.
            if count >= workers, !FreePort.isFree(port) { return }
            guard !isStopping else { throw CancellationError() }
            guard running.processes.allSatisfy({ $0.process.isRunning }), ContinuousClock.now < deadline else {
                throw Failure(description: "the intake or a worker did not start; its log says why")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func end(_ running: Running) async {
        // A task of its own: whatever happens, nothing is left running.
        await Task {
            progress.say("\nStopping …")
            await running.intake?.end(with: SIGTERM, within: .seconds(30))
            await withDiscardingTaskGroup { group in
                for worker in running.workers {
                    group.addTask { await worker.end(with: SIGTERM, within: .seconds(60)) }
                }
            }
            await running.servers?.stop()
            progress.say("All stopped.")
        }.value
    }
}

/// What has been started so far.
private struct Running: Sendable {
    var servers: LocalStack?
    var intake: LocalProcess?
    var workers: [LocalProcess] = []

    /// Those without which nothing works, as a person calls them.
    var processes: [(name: String, process: LocalProcess)] {
        var all: [(String, LocalProcess?)] = [("the intake", intake)]
        all += workers.enumerated().map { ("worker-\($0 + 1)", $1) }
        if let servers { all.append(("PostgreSQL", servers.postgres.process)) }
        return all.compactMap { name, process in process.map { (name, $0) } }
    }
}
