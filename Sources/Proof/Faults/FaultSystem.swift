import Foundation
import Holdfast
import LocalStack
import Logging
import NIOCore
import NIOPosix
import Postgres
import Synchronization

/// The system under faults: servers, intakes and workers, and a link between any two of them.
final class FaultSystem: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    /// One process of the program, which is started again and again.
    final class Part: Sendable {
        let name: String
        let program: URL
        let arguments: [String]
        let environment: [String: String]
        let links: [Link]
        let port: Int
        private let output: FileHandle
        private let current = Mutex<LocalProcess?>(nil)

        init(
            _ name: String,
            _ program: URL,
            _ arguments: [String],
            environment: [String: String],
            links: [Link],
            port: Int,
            folder: String
        ) throws {
            self.name = name
            self.program = program
            self.arguments = arguments
            self.environment = environment
            self.links = links
            self.port = port
            let path = "\(folder)/\(name).log"
            guard FileManager.default.createFile(atPath: path, contents: nil),
                let output = FileHandle(forWritingAtPath: path)
            else {
                throw Failure(description: "cannot write \(path)")
            }
            self.output = output
        }

        var process: LocalProcess? { current.withLock { $0 } }

        func start() throws {
            let process = try LocalProcess(program, arguments, environment: environment, output: output)
            current.withLock { $0 = process }
        }
    }

    let folder: String
    let database: Database
    /// The first persists every write; the others forget their locks when they are restarted.
    let lockNodes: [RedisServer]
    /// The wall clock of the last lock node.
    let clock: SteppedClock
    let valueNode: RedisServer
    let pool: PostgresPool
    /// For clients that submit by SQL.
    let submitters: PostgresPool
    private let parts = Mutex<(intakes: [Part], workers: [Part])>(([], []))

    var intakes: [Part] { parts.withLock { $0.intakes } }
    var workers: [Part] { parts.withLock { $0.workers } }
    var links: [Link] { (intakes + workers).flatMap(\.links) }
    /// The ways to PostgreSQL: the first of each part.
    var databaseLinks: [Link] { (intakes + workers).map { $0.links[0] } }

    private init(
        _ folder: String,
        _ database: Database,
        _ lockNodes: [RedisServer],
        _ clock: SteppedClock,
        _ valueNode: RedisServer
    ) throws {
        self.folder = folder
        self.database = database
        self.lockNodes = lockNodes
        self.clock = clock
        self.valueNode = valueNode
        let configuration = try PostgresConfiguration(connectionString: database.url, applicationName: "faults")
        pool = PostgresPool(configuration: configuration, size: 4, logger: .quiet)
        submitters = PostgresPool(
            configuration: configuration,
            size: 4,
            acquireTimeout: .seconds(2),
            logger: .quiet
        )
    }

    /// Starts all of it in a folder.
    ///
    /// - Parameters:
    ///   - folder: Where all of it keeps its files.
    ///   - nodes: How many lock nodes.
    ///   - intakes: How many intakes.
    ///   - workers: How many workers.
    ///   - kinds: The faults that it is to bear.
    /// - Returns: The system, ready for jobs.
    /// - Throws: When a part cannot be started.
    static func start(
        in folder: String,
        nodes: Int,
        intakes: Int,
        workers: Int,
        for kinds: [FaultKind]
    ) async throws -> FaultSystem {
        let database = try await Database.start(in: folder, for: kinds)
        let clock = try SteppedClock("\(folder)/clock")
        var lockNodes: [RedisServer] = []
        for number in 1...nodes {
            let node = try await RedisServer.start(
                in: "\(folder)/lock-node-\(number)",
                options: number == 1 ? RedisServer.persistent : [],
                environment: number == nodes ? clock.environment : [:]
            )
            lockNodes.append(node)
        }
        let valueNode = try await RedisServer.start(
            in: "\(folder)/value-node",
            options: RedisServer.persistent + ["--auto-aof-rewrite-percentage", "0"]
        )
        let system = try FaultSystem(folder, database, lockNodes, clock, valueNode)
        for number in 1...intakes { try await system.addIntake("intake-\(number)") }
        for number in 1...workers { try await system.addWorker("worker-\(number)") }
        for part in system.intakes + system.workers { try part.start() }
        try await system.whenReady()
        return system
    }

    /// Ends everything, the database last.
    func stop() async {
        for link in links { link.set(.whole) }
        await withDiscardingTaskGroup { group in
            for part in intakes + workers {
                group.addTask {
                    part.process?.signal(SIGCONT)
                    await part.process?.end(with: SIGTERM, within: .seconds(30))
                }
            }
        }
        pool.close()
        submitters.close()
        for node in lockNodes + [valueNode] { await node.stop() }
        await database.stop()
        for link in links { link.close() }
    }

    private func addIntake(_ name: String) async throws {
        let (environment, links) = try await way(of: name)
        let port = FreePort.find()
        let part = try Part(
            name,
            Self.programs.appending(path: "holdfast"),
            ["serve", "--port", "\(port)", "--end-with-parent"],
            environment: environment,
            links: links,
            port: port,
            folder: folder
        )
        parts.withLock { $0.intakes.append(part) }
    }

    private func addWorker(_ name: String) async throws {
        let (environment, links) = try await way(of: name)
        let part = try Part(
            name,
            Self.programs.appending(path: "holdfast-faults"),
            [
                "worker", "--name", name, "--database-url", environment["HOLDFAST_DATABASE_URL"] ?? "",
                "--lock-nodes", environment["HOLDFAST_LOCK_NODES"] ?? "",
                "--value-node", environment["HOLDFAST_VALUE_NODE"] ?? "", "--trace", "\(folder)/\(name).trace",
                // One worker does not know the second kind.
                "--kinds", name == "worker-3" ? "1" : "2",
            ],
            environment: [:],
            links: links,
            port: 0,
            folder: folder
        )
        parts.withLock { $0.workers.append(part) }
    }

    /// Links from a part to every server, and the settings that lead over them.
    private func way(of name: String) async throws -> (environment: [String: String], links: [Link]) {
        // To the primary, whichever it is: libpq itself goes on to another host only where nobody listens.
        var links = [
            try await Link("\(name) to PostgreSQL") { [database] in
                $0.connect(unixDomainSocketPath: database.primary.socket)
            }
        ]
        for (index, node) in (lockNodes + [valueNode]).enumerated() {
            let port = node.port
            let other = index < lockNodes.count ? "lock node \(index + 1)" : "the value node"
            links.append(try await Link("\(name) to \(other)") { $0.connect(host: "127.0.0.1", port: port) })
        }
        let urls = links.dropFirst().map { "redis://127.0.0.1:\($0.port)" }
        return (
            [
                "HOLDFAST_DATABASE_URL":
                    "postgresql://holdfast@127.0.0.1:\(links[0].port)/\(LocalStack.database)?connect_timeout=2&gssencmode=disable",
                "HOLDFAST_LOCK_NODES": urls.dropLast().joined(separator: ","),
                "HOLDFAST_VALUE_NODE": urls.last ?? "",
            ], links
        )
    }

    private func whenReady() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        let registered = Statement(name: "faults_workers", sql: "select count(*) from holdfast.workers")
        while true {
            let count = try await pool.execute(registered)[0].decode(Int.self, at: 0)
            if count >= workers.count, intakes.allSatisfy({ !FreePort.isFree($0.port) }) { return }
            guard ContinuousClock.now < deadline, (intakes + workers).allSatisfy({ $0.process?.isRunning == true })
            else {
                throw Failure(description: "an intake or a worker did not start; see its log in \(folder)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Where the build puts all programs.
    private static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()
}

extension Logger {
    static var quiet: Logger { Logger(label: "faults") { _ in SwiftLogNoOpLogHandler() } }
}
