import ArgumentParser
import Foundation
import Holdfast
import Logging
import Postgres
import Redis
import Redlock
import ServiceLifecycle
import UnixSignals
import Worker

/// The hidden command `holdfast-faults worker`: the worker of `holdfast work`, with tasks that write their trace.
struct TracedWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "worker", shouldDisplay: false)
    /// The longest time to live of any lock in a run: a node that forgot its locks is kept out for so long.
    static let longestTTL: Duration = .seconds(3)

    @Option var name: String
    @Option var databaseURL: String
    @Option var lockNodes: String
    @Option var valueNode: String
    @Option var trace: String
    @Option var kinds: Int

    func run() async throws {
        var logger = Logger(label: name)
        logger.logLevel = .info
        var locking = RedlockConfiguration()
        locking.longestTTL = Self.longestTTL
        let redlock = try Redlock(
            nodes: lockNodes.split(separator: ",").map(String.init),
            configuration: locking,
            logger: logger
        )
        let values = RedisNode(try RedisEndpoint(valueNode), logger: logger)
        var database = try PostgresConfiguration(connectionString: databaseURL, applicationName: name)
        database.planning = .once
        var configuration = WorkerConfiguration()
        // With its process: the runner learns from the list of workers which number was which.
        configuration.name = "\(name)/\(getpid())"
        let pool = PostgresPool(configuration: database, size: configuration.connections, logger: logger)
        defer { pool.close() }
        let task = TracedTask(values: ValueStore(node: values), trace: try TraceFile(trace))
        let worker = Worker(
            configuration: configuration,
            pool: pool,
            database: database,
            redlock: redlock,
            handlers: kinds > 1 ? [task, OtherTracedTask(task: task)] : [task],
            logger: logger
        )
        let connection = Task { await values.run() }
        defer { connection.cancel() }
        try await redlock.whileConnected {
            var group = ServiceGroupConfiguration(
                services: [
                    .init(service: worker),
                    .init(service: ParentWatch(), successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigterm],
                logger: logger
            )
            group.maximumGracefulShutdownDuration = .seconds(20)
            try await ServiceGroup(configuration: group).run()
        }
    }
}

/// Ends when the process that started this one has gone.
private struct ParentWatch: Service {
    func run() async throws {
        let parent = getppid()
        await cancelWhenGracefulShutdown {
            while getppid() == parent, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(500))  // Cancelled: the loop ends.
            }
        }
    }
}
