import ArgumentParser
import Foundation
import Holdfast
import LocalStack
import Logging
import Postgres
import Redis
import Redlock
import ServiceLifecycle
import UnixSignals
import Worker

/// The hidden command `holdfast-bench worker`: what `holdfast work` runs, on lock nodes that held nothing before.
struct BenchWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "worker", shouldDisplay: false)

    @Option var databaseURL: String
    @Option var lockNodes: String
    @Option var slots: Int

    func run() async throws {
        var logger = Logger(label: "worker")
        logger.logLevel = .warning
        var locking = RedlockConfiguration()
        locking.quarantinesRestartedNodes = false
        // Probes would be counted.
        locking.probeInterval = .seconds(86_400)
        let nodes = try lockNodes.split(separator: ",").map { [locking, logger] in
            RedisLockNode(try RedisEndpoint(String($0)), configuration: locking, logger: logger)
        }
        let redlock = Redlock(nodes: nodes, configuration: locking, logger: logger)
        var database = try PostgresConfiguration(connectionString: databaseURL, applicationName: "bench worker")
        database.planning = .once
        var configuration = WorkerConfiguration()
        configuration.slots = slots
        let pool = PostgresPool(configuration: database, size: configuration.connections, logger: logger)
        defer { pool.close() }
        let worker = Worker(
            configuration: configuration,
            pool: pool,
            database: database,
            redlock: redlock,
            handlers: [LockAndSet(values: ValueStore(node: nodes[0].connection))],
            logger: logger
        )
        try await redlock.whileConnected {
            let services = ServiceGroup(services: [worker], gracefulShutdownSignals: [.sigterm], logger: logger)
            try await services.run()
        }
    }
}
